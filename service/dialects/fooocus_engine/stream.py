"""A task as a stream of events, in the form its clients parse: unnamed, JSON and an empty line, CRLF between lines.

Each says `progress`, `preview` (a data URL of a PNG, or null), `message` and `images` (empty until the last). Beside
these stands what the original never said: `task_id`; `error` with the last, if the task has failed; `warning`.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Final

import anyio
import anyio.to_thread
import orjson
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from protocol.errors import ProtocolError
from protocol.events import (
    Event,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobWarning,
    OutputReady,
    OutputSkipped,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import Job
from service.auth import Key
from service.conversion import converted_bytes
from service.dialects.base import Desk
from service.dialects.fooocus.progress import Progress, images_of, is_enhanced
from service.dialects.fooocus_engine.names import task_id_of
from service.dialects.fooocus_engine.progress import BEGUN, ENDED, WAITING, saved, skipped, stepped
from service.dialects.fooocus_engine.records import urls
from service.errors import ReaderStalled

_SEND_TIMEOUT_S: Final = 30.0


class TaskStream(EventSourceResponse):
    """The stream of one task.

    Args:
        goes_on: the task does although its client leaves; else it ends then.
    """

    def __init__(self, desk: Desk, job: Job, key: Key, *, goes_on: bool, headers: dict[str, str]) -> None:
        self._desk = desk
        self._job = job
        self._key = key
        self._goes_on = goes_on
        self._is_told = False
        """Everything was, or the server stops: whoever leaves now calls nothing off."""
        super().__init__(
            self._chunks(),
            ping=desk.services.settings.heartbeat_s,
            send_timeout=_SEND_TIMEOUT_S,
            headers=headers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            raise ReaderStalled from None
        finally:
            if not self._is_told and not self._goes_on:
                with anyio.CancelScope(shield=True), suppress(ProtocolError):  # it has ended by itself meanwhile
                    await self._desk.cancel(self._job.id, self._key)

    async def _chunks(self) -> AsyncIterator[bytes]:
        teller = _Teller(self._desk, self._job, self._key)
        async with aclosing(self._desk.events(self._job.id, self._key)) as events:
            async for event in events:
                if (told := await teller.told(event)) is not None:
                    yield b"data: %s\r\ndata: \r\n\r\n" % orjson.dumps(told)
        self._is_told = True


class _Teller:
    """Turns the events of a job into what its client is told."""

    def __init__(self, desk: Desk, job: Job, key: Key) -> None:
        self._desk = desk
        self._job = job
        self._key = key
        self._images = images_of(job)
        self._ready = 0
        self._at: Progress = WAITING

    async def told(self, event: Event) -> dict[str, Any] | None:
        """None for what such a client has no use for."""
        if event.is_terminal:
            return await self._last(event)
        body = event.body
        extra: dict[str, Any] = {}
        preview = None
        match body:
            case JobQueued() | JobRequeued() | QueueMoved(position=0):
                self._at = WAITING
            case QueueMoved():
                self._at = Progress(WAITING.percent, f"Waiting, {body.position} before it ...")
            case JobStarted():
                self._at = saved(self._ready, self._images) if self._ready else BEGUN
            case StepFinished():
                self._at = stepped(body, self._job)
            case PreviewReady():
                preview = await anyio.to_thread.run_sync(_data_url, body.bytes)
            case OutputReady():
                self._ready = body.index + 1
                # A stage of several says nothing of how many pictures there are.
                self._at = self._at if is_enhanced(self._job) else saved(self._ready, self._images)
            case OutputSkipped():
                self._ready = body.index + 1
                self._at = skipped(self._ready, self._images)
            case JobWarning():
                extra["warning"] = {"code": body.code, "message": body.message}
            case _:
                return None
        return {**self._message(self._at, preview=preview), **extra}

    async def _last(self, event: Event) -> dict[str, Any]:
        """The pictures there are; and if it has failed, why."""
        job = await self._desk.get(self._job.id, self._key)
        made = urls(self._desk, job)
        if not isinstance(event.body, JobFailed):
            return self._message(ENDED, images=made)
        error = event.body.error
        failed = self._message(Progress(ENDED.percent, error.message), images=made)
        return {**failed, "error": {"code": error.code.value, "message": error.message}}

    def _message(self, at: Progress, *, preview: str | None = None, images: list[str] | None = None) -> dict[str, Any]:
        return {
            "progress": at.percent,
            "preview": preview,
            "message": at.text,
            "images": images or [],
            "task_id": task_id_of(self._job),
        }


def _data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(converted_bytes(content, 'image/png')).decode()}"
