"""A backend of one's own in front of Safelight: its visitors ask it for pictures and watch them develop.

    SAFELIGHT_URL=http://127.0.0.1:8765 SAFELIGHT_KEY=... PORT=8000 python docs/examples/relay.py

It keeps no state: the server remembers every job, so it may be stopped and started while visitors watch.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from safelight import AsyncClient, AsyncJob, RequestRefused

safelight = AsyncClient(os.environ.get("SAFELIGHT_URL", "http://127.0.0.1:8765"), os.environ.get("SAFELIGHT_KEY"))


async def make(request: Request) -> Response:
    """POST /pictures {"prompt"}: the visitor's own request id makes a repeated click one picture."""
    asked = await request.json()
    try:
        job = await safelight.submit(
            "text_to_image",
            prompt=asked["prompt"],
            steps=12,
            width=64,
            height=64,
            labels={"visitor": "anna"},
            idempotency_key=request.headers.get("x-request-id"),
        )
    except RequestRefused as refusal:
        return JSONResponse({"error": refusal.code, "message": refusal.message}, refusal.status or 502)
    return JSONResponse({"picture": job.id}, 202)


async def watch(request: Request) -> Response:
    """GET /pictures/{id}/events: in one's own words, and only what a visitor is to see."""
    job = await find(request)
    if job is None:
        return JSONResponse({"error": "not_found"}, 404)
    # What an EventSource sends by itself when it comes back.
    after = int(request.headers.get("last-event-id", "0"))
    return StreamingResponse(tell(job, after), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def tell(job: AsyncJob, after: int) -> AsyncIterator[str]:
    async for event in job.events(after):
        match event.type:
            case "step.finished":
                said = {"progress": event.body.progress}
            case "output.ready":
                said = {"image": f"/pictures/{job.id}/{event.body.index}"}
            case "job.succeeded" | "job.failed" | "job.cancelled":
                said = {"end": event.type}
            case _:
                continue
        # Facts have an id, from which the browser goes on; hints are lost with the connection, and that is no loss.
        identifier = f"id: {event.seq}\n" if event.is_fact else ""
        yield f"{identifier}data: {json.dumps(said)}\n\n"


async def show(request: Request) -> Response:
    """GET /pictures/{id}/{number}."""
    job = await find(request)
    number = int(request.path_params["number"])
    output = next((output for output in job.outputs if output.index == number), None) if job else None
    if output is None:
        return JSONResponse({"error": "not_found"}, 404)
    return Response(await output.read(), media_type=output.media_type)


async def find(request: Request) -> AsyncJob | None:
    """The job, if it is this visitor's."""
    try:
        job = await safelight.get(request.path_params["id"])
    except RequestRefused:
        return None
    return job if job.state.labels.get("visitor") == "anna" else None


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    async with safelight:
        yield


app = Starlette(
    routes=[
        Route("/pictures", make, methods=["POST"]),
        Route("/pictures/{id}/events", watch),
        Route("/pictures/{id}/{number:int}", show),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
