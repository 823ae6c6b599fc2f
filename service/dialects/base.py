"""What a dialect may do with this server: run a job and wait for it, watch it, cancel it, take what it made.

A dialect translates a foreign request into parameters of one of our tasks, hands them to the `Desk`, and translates the
job back. Whoever waits in a blocking foreign endpoint waits here, for the job's events: nobody polls.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, TypeAlias

import anyio.to_thread
from starlette.requests import Request

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, JobWarning, StepFinished
from protocol.jobs import Job, JobStatus
from protocol.requests import Previews, Priority
from service.api.requests import caller, services_of
from service.auth import Key, Scope
from service.dialects.job_ends import ClientGone, JobNotDone
from service.dialects.stored_file import StoredFile
from service.errors import ServiceError
from service.outlet import BufferedOutlet, Lagging
from service.submissions import Submission
from service.wiring import Services

_RETRY_AFTER_S: Final = 5.0

OnEvent: TypeAlias = Callable[[Event], Awaitable[None]]
OnAccepted: TypeAlias = Callable[[Job], None]


class Desk:
    """Where a dialect brings its jobs. For the event loop only; costs nothing to make."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @classmethod
    def of(cls, request: Request) -> "Desk":
        """That of the server a request came to."""
        return cls(services_of(request))

    async def key_of(self, request: Request, scope: Scope = Scope.JOBS_WRITE) -> Key:
        """Who calls: the key of a request, or the local caller of a server without keys.

        Raises:
            ProtocolError: `unauthorized` or `forbidden`.
        """
        return await caller(request, scope)

    async def submit(
        self,
        task: str,
        params: Mapping[str, Any],
        *,
        key: Key,
        labels: Mapping[str, str] | None = None,
        previews: Previews = Previews.NONE,
        priority: Priority = Priority.NORMAL,
        webhook: Mapping[str, Any] | None = None,
        asked: Mapping[str, Any] | None = None,
        notes: Sequence[JobWarning] = (),
    ) -> Job:
        """Have a job accepted, and come back at once.

        Args:
            params: of the task, as our own API takes them; a picture may also be given as the bytes of its file.
            labels: told with the job; a dialect names itself here (`dialect`).
            webhook: whom to tell of it, as our own API takes it; in which form, see `Webhooks.forms`.
            asked: the request in the client's own words, kept with the job: see `Store.asked`.
            notes: what of it has no effect, or less than asked; told as the first warnings of the job.

        Raises:
            ProtocolError: the parameters are wrong, the queue is full, or the server is stopping.
        """
        attached: dict[str, bytes] = {}
        body = {
            "task": task,
            "params": _detached(params, attached),
            "labels": dict(labels or {}),
            "previews": previews.value,
            "priority": priority.value,
            "webhook": webhook,
        }
        submission = Submission(body, key, attached=attached, asked=asked, notes=notes)
        return (await self.services.submissions.submit(submission)).job

    async def run(
        self,
        task: str,
        params: Mapping[str, Any],
        *,
        key: Key,
        request: Request | None = None,
        labels: Mapping[str, str] | None = None,
        previews: Previews = Previews.NONE,
        priority: Priority = Priority.NORMAL,
        on_accepted: OnAccepted | None = None,
        on_event: OnEvent | None = None,
    ) -> Job:
        """Have a job done: `submit`, then `finish`.

        Args:
            on_accepted: called with the job before it is waited for.
        """
        job = await self.submit(task, params, key=key, labels=labels, previews=previews, priority=priority)
        if on_accepted is not None:
            on_accepted(job)
        return await self.finish(job, key, request=request, on_event=on_event)

    async def finish(
        self, job: Job, key: Key, *, request: Request | None = None, on_event: OnEvent | None = None
    ) -> Job:
        """Wait for the end of a job.

        Args:
            request: of the client that waits, its body read; if it goes away, or this call is cancelled, so is the job.
            on_event: hears every fact, and the latest hints, in order. What it raises ends the waiting, not the job.

        Returns:
            The job, succeeded.

        Raises:
            JobNotDone: it failed or was cancelled.
            ClientGone: see `request`.
            ServiceError: `draining`: the server is stopping; the job has been called off.
        """
        following = asyncio.ensure_future(self._follow(job, key, on_event))
        leaving = asyncio.ensure_future(_gone(request)) if request is not None else None
        try:
            await asyncio.wait(
                [following] if leaving is None else [following, leaving], return_when=asyncio.FIRST_COMPLETED
            )
            if not following.done():
                await self._call_off(job.id, key)
                raise ClientGone
            ended = following.result()
        except asyncio.CancelledError:
            await asyncio.shield(self._call_off(job.id, key))
            raise
        finally:
            for waiting in (following, leaving):
                if waiting is not None:
                    waiting.cancel()
        if not ended.status.is_terminal:
            await self._call_off(job.id, key)
            message = "the server is stopping; try again soon"
            raise ServiceError(ErrorCode.DRAINING, message, retry_after_s=_RETRY_AFTER_S)
        if ended.status is not JobStatus.SUCCEEDED:
            raise JobNotDone(ended)
        return ended

    async def events(
        self, job_id: str, key: Key, *, after: int = 0, facts_only: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The facts of a job after seq `after`, and its latest hints, until its end; close it (`aclosing`) when done.

        It ends early when the server stops, or when the reader is too slow.

        Args:
            facts_only: no hints; what is only waited for need not be told of its place in the queue.

        Raises:
            ProtocolError: `not_found`.
        """
        outlet = BufferedOutlet(self.services.settings.event_buffer)
        subscription = await self.services.feeds.follow_job(job_id, key.visible, after, outlet, facts_only=facts_only)
        self.services.jobs.outlets.add(outlet)
        try:
            while not (subscription.has_ended and len(outlet) == 0):
                for event in await outlet.take():
                    yield event
                    if event.is_terminal:
                        return
        except Lagging:
            return
        finally:
            self.services.jobs.outlets.discard(outlet)
            subscription.close()

    def output(self, job: Job, index: int = 0) -> StoredFile:
        """What a job made; see `file` to read it.

        Raises:
            ProtocolError: `not_found`: it has no output of that number.
        """
        ready = next((ready for ready in job.outputs if ready.index == index), None)
        if ready is None:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"job {job.id}: has no output {index}")
        return StoredFile.of(self.services.files, job.id, ready)

    async def file(self, job: Job, index: int = 0) -> StoredFile:
        """What a job made, with its file on this machine, unless it is gone.

        Raises:
            ProtocolError: `not_found`, see `output`; `not_ready`: the file cannot be had at the moment.
        """
        stored = self.output(job, index)
        await self.services.files.bring(stored.path)
        return stored

    async def get(self, job_id: str, key: Key) -> Job:
        """A job as it is now.

        Raises:
            ProtocolError: `not_found`.
        """
        return await self.services.jobs.get(job_id, key)

    async def cancel(self, job_id: str, key: Key) -> Job:
        """Ask that a job end.

        Raises:
            ProtocolError: `not_found` or `already_ended`.
        """
        return await self.services.jobs.cancel(job_id, key)

    async def skip(self, job_id: str, key: Key) -> Job:
        """Ask that a running job leave out the image it is at.

        Raises:
            ProtocolError: `not_found`, `already_ended`; `invalid_params`: it waits, or its task has no several images.
        """
        return await self.services.jobs.skip(job_id, key)

    def step(self, job_id: str, key: Key) -> StepFinished | None:
        """The newest step of a running job, if it has told of one."""
        return self.services.jobs.step(job_id, key)

    async def forget(self, job_id: str, key: Key) -> bool:
        """Remove an ended job with its pictures, now instead of when it expires.

        Returns:
            False if it has not ended; it stays then.

        Raises:
            ProtocolError: `not_found`.
        """
        try:
            await self.services.removal.forget(job_id, key)
        except ProtocolError as error:
            if error.code is not ErrorCode.NOT_ENDED:
                raise
            return False
        return True

    async def fetch(self, url: str, at: str) -> bytes:
        """The picture at an address, within the limits of the settings.

        Args:
            at: JSONPath of the address in what the client sent, for messages.

        Raises:
            ProtocolError: `fetch_failed` or `too_large`.
        """
        with tempfile.TemporaryDirectory(prefix="safelight-") as folder:
            fetched = await self.services.fetcher.fetch(url, Path(folder) / "picture", at=at)
            return await anyio.to_thread.run_sync(fetched.path.read_bytes)

    async def _follow(self, job: Job, key: Key, on_event: OnEvent | None) -> Job:
        async with aclosing(self.events(job.id, key, facts_only=on_event is None)) as events:
            async for event in events:
                if on_event is not None:
                    await on_event(event)
        return await self.services.jobs.get(job.id, key)

    async def _call_off(self, job_id: str, key: Key) -> None:
        with contextlib.suppress(ProtocolError):  # it has ended by itself meanwhile
            await self.services.jobs.cancel(job_id, key)


async def _gone(request: Request) -> None:
    """Wait until the client of a request whose body has been read closes its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _detached(value: Any, attached: dict[str, bytes]) -> Any:
    """The same parameters with references for pictures given as bytes, which go into `attached`."""
    if isinstance(value, bytes):
        name = str(len(attached))
        attached[name] = value
        return f"attached:{name}"
    if isinstance(value, Mapping):
        return {key: _detached(item, attached) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_detached(item, attached) for item in value]
    return value
