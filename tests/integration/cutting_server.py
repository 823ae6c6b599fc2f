"""A server of the protocol that cuts, repeats and loses on purpose, for tests of clients."""

import asyncio
import random
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from protocol.codec import CODECS, Codec, body_fields
from protocol.events import (
    EventBody,
    JobCancelled,
    JobQueued,
    JobStarted,
    JobSucceeded,
    OutputReady,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.frames import pack
from protocol.ids import new_id
from protocol.requests import Priority, TaskName

AT = "2026-01-01T00:00:00.000Z"


def job_story(job_id: str, steps: int = 12) -> list[dict[str, Any]]:
    """The events of a job that goes well: five facts, and hints between them."""
    story: list[dict[str, Any]] = []
    seq, n = 0, 0

    def tell(body: EventBody, *, is_fact: bool) -> None:
        nonlocal seq, n
        if is_fact:
            seq += 1
            mark: dict[str, Any] = {"cursor": f"{job_id}:{seq}"}
        else:
            n += 1
            mark = {"attempt": 1, "n": n}
        story.append({"type": body.TYPE, "job_id": job_id, "seq": seq, "at": AT, **mark, "data": body_fields(body)})

    tell(JobQueued(task=TaskName.TEST_PATTERN, priority=Priority.NORMAL), is_fact=True)
    for position in (2, 1, 0):
        tell(QueueMoved(position=position), is_fact=False)
    tell(JobStarted(worker="w", device="cpu", attempt=1), is_fact=True)
    for index in range(2):
        for step in range(1, steps + 1):
            tell(StepFinished(image=index, step=step, steps=steps, progress=step / steps), is_fact=False)
            preview = PreviewReady(
                image=index, step=step, width=2, height=2, media_type="image/jpeg", bytes=bytes([step]) * 100
            )
            tell(preview, is_fact=False)
        output = OutputReady(
            index=index, url=f"/v1/jobs/{job_id}/outputs/{index}", media_type="image/png", size_bytes=1, sha256="0"
        )
        tell(output, is_fact=True)
    tell(JobSucceeded(duration_s=1.0), is_fact=True)
    return story


class CuttingServer:
    """Speaks the protocol honestly between its misdeeds; `misbehave` is asked before every frame it sends."""

    def __init__(self) -> None:
        self.stories: dict[str, list[dict[str, Any]]] = {}
        self.keys: dict[str, str] = {}
        self.received: list[dict[str, Any]] = []
        self.sockets = 0
        self.headers: list[Mapping[str, str]] = []
        self.refusals: dict[str, dict[str, Any]] = {}
        self.cuts_left = 0
        self.repeats = False
        self.losses_left = 0
        self.close_with: int | None = None
        self.withhold_replies = 0
        self.drains_left = 0
        """So many submits more are answered that the server is stopping, as it does until its sockets close."""
        self.mutes_left = 0
        """So many sockets more hear everything and say nothing."""
        self.hold_end = asyncio.Event()
        self.hold_end.set()
        self._cut: set[uuid.UUID] = set()
        self._random = random.Random(7)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def __aenter__(self) -> "CuttingServer":
        self._server = await serve(
            self._talk, "127.0.0.1", 0, subprotocols=[Subprotocol(name) for name in CODECS], compression=None
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self.hold_end.set()
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    async def stop(self) -> None:
        """Go away in the middle of everything, for good."""
        assert self._server is not None
        for socket in list(self._server.connections):
            socket.transport.abort()
        await self.__aexit__()

    async def _talk(self, socket: ServerConnection) -> None:
        self.sockets += 1
        assert socket.request is not None
        self.headers.append(dict(socket.request.headers))
        if self.close_with is not None:
            code, self.close_with = self.close_with, None
            await socket.close(code)
            return
        codec = CODECS[str(socket.subprotocol)]
        is_mute, self.mutes_left = self.mutes_left > 0, max(0, self.mutes_left - 1)
        told: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            with suppress(ConnectionClosed):
                async for frame in socket:
                    message = codec.decode(frame)
                    self.received.append(message)
                    if is_mute:
                        continue
                    if message["type"] == "submit" and self.drains_left:
                        self.drains_left -= 1
                        error = {"code": "draining", "message": "the server is stopping"}
                        await self._reply(socket, codec, message, {"ok": False, "error": error})
                    elif message["type"] == "submit":
                        job_id = self._accept(message)
                        await self._reply(socket, codec, message, {"job": self._job(job_id, message)})
                        told[job_id] = tasks.create_task(self._tell(socket, codec, job_id, 0))
                    elif message["type"] == "subscribe":
                        if message["job_id"] in self.refusals:
                            error = self.refusals[message["job_id"]]
                            await self._reply(socket, codec, message, {"ok": False, "error": error})
                            continue
                        await self._reply(socket, codec, message, {})
                        job_id = message["job_id"]
                        told[job_id] = tasks.create_task(self._tell(socket, codec, job_id, message["after"]))
                    elif message["type"] == "cancel":
                        await self._cancel(socket, codec, message)
                    elif message["type"] == "unsubscribe":
                        told[message["job_id"]].cancel()
                        await self._reply(socket, codec, message, {})
                    elif message["type"] == "ping":
                        await self._reply(socket, codec, message, {})

    def _accept(self, message: Mapping[str, Any]) -> str:
        key = message["idempotency_key"]
        if key not in self.keys:
            self.keys[key] = new_id()
            self.stories[self.keys[key]] = job_story(self.keys[key])
        return self.keys[key]

    def _job(self, job_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": job_id, "task": message["job"]["task"], "status": "queued", "seq": 1, "attempt": 1,
            "priority": "normal", "previews": "latest", "params": {}, "created_at": AT,
        }  # fmt: skip

    async def _cancel(self, socket: ServerConnection, codec: Codec, message: Mapping[str, Any]) -> None:
        story = self.stories.get(message["job_id"])
        if story is None or story[-1]["type"] == "job.cancelled":
            code = "not_found" if story is None else "already_ended"
            await self._reply(socket, codec, message, {"ok": False, "error": {"code": code, "message": code}})
            return
        end = JobCancelled(reason="asked")
        story[-1] = {**story[-1], "type": end.TYPE, "data": body_fields(end)}
        await self._reply(socket, codec, message, {})
        self.hold_end.set()

    async def _reply(
        self, socket: ServerConnection, codec: Codec, message: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> None:
        if self.withhold_replies:
            self.withhold_replies -= 1
            socket.transport.abort()
            return
        await self._send(socket, codec, {"type": "reply", "ref": message["ref"], "ok": True, **fields})

    async def _tell(self, socket: ServerConnection, codec: Codec, job_id: str, after: int) -> None:
        story = self.stories[job_id]
        for index in range(len(story)):
            if index == len(story) - 1:
                await self.hold_end.wait()
            event = story[index]
            if event["seq"] < after:
                continue
            is_fact = "n" not in event
            if is_fact and event["seq"] == after:
                continue
            if is_fact and self.losses_left and event["seq"] > 1:
                self.losses_left -= 1
                continue
            await self._send(socket, codec, event)
            if self.repeats and self._random.random() < 0.5:
                await self._send(socket, codec, event)

    async def _send(self, socket: ServerConnection, codec: Codec, message: dict[str, Any]) -> None:
        if self.cuts_left and socket.id not in self._cut and self._random.random() < 0.1:
            self.cuts_left -= 1
            self._cut.add(socket.id)
            socket.transport.abort()
        if codec.messages_are_binary or message["type"] != "preview.ready":
            frame, is_text = codec.encode(message), not codec.messages_are_binary
        else:
            header = {**message, "data": {name: item for name, item in message["data"].items() if name != "bytes"}}
            frame, is_text = pack(codec.encode(header), message["data"]["bytes"]), False
        with suppress(ConnectionClosed):
            await socket.send(frame, text=is_text)
        await asyncio.sleep(0)  # lets the jobs of one socket take turns
