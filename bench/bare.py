"""The floor for a job: Starlette on uvicorn and one executor thread, with nothing stored, checked or counted.

    python -m bench.bare PORT

`WS /ws` and `POST /jobs` take a job, hand it to the thread, and tell of its start, its output and its end.
"""

import asyncio
import queue
import sys
import threading
import uuid
from collections.abc import Callable

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

Tell = Callable[[str, str], None]
"""Called on the executor thread with the job's id and what happened."""

_work: "queue.SimpleQueue[tuple[str, Tell]]" = queue.SimpleQueue()


def run_jobs() -> None:
    """The executor thread: every job is nothing to do."""
    while True:
        job_id, tell = _work.get()
        tell(job_id, "job.started")
        tell(job_id, "output.ready")
        tell(job_id, "job.succeeded")


async def socket(websocket: WebSocket) -> None:
    """Takes submits, answers each, and sends the events of all of them."""
    await websocket.accept()
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    def tell(job_id: str, kind: str) -> None:
        loop.call_soon_threadsafe(told.put_nowait, {"type": kind, "job_id": job_id})

    async def send() -> None:
        while True:
            await websocket.send_text(orjson.dumps(await told.get()).decode())

    sender = asyncio.create_task(send())
    try:
        while True:
            message = orjson.loads(await websocket.receive_text())
            job_id = str(uuid.uuid4())
            reply = {"type": "reply", "ref": message["ref"], "ok": True, "job": {"id": job_id, **message["job"]}}
            await websocket.send_text(orjson.dumps(reply).decode())
            _work.put((job_id, tell))
    except WebSocketDisconnect:
        pass
    finally:
        sender.cancel()


async def post(request: Request) -> Response:
    """Takes a job and answers when it has ended."""
    job = orjson.loads(await request.body())
    job_id = str(uuid.uuid4())
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str] = loop.create_future()

    def hear(kind: str) -> None:
        if kind == "job.succeeded":
            ended.set_result(kind)

    def tell(_job_id: str, kind: str) -> None:
        loop.call_soon_threadsafe(hear, kind)

    _work.put((job_id, tell))
    await ended
    return Response(orjson.dumps({"id": job_id, "status": "succeeded", **job}), media_type="application/json")


async def live(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


app = Starlette(routes=[WebSocketRoute("/ws", socket), Route("/jobs", post, methods=["POST"]), Route("/live", live)])


def main(port: int) -> None:
    threading.Thread(target=run_jobs, daemon=True).start()
    uvicorn.run(
        app, port=port, ws="websockets-sansio", ws_per_message_deflate=False, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
