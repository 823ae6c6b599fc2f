"""A job in the hands of its client: watch it, wait for it, cancel it, take its outputs."""

from collections.abc import AsyncGenerator

import httpx

from protocol.events import Event, JobCancelled
from protocol.jobs import Job as JobState
from protocol.jobs import JobStatus
from protocol.requests import TaskName
from safelight import errors
from safelight.feed import Feed
from safelight.output import AsyncOutput
from safelight.rest import Rest
from safelight.state import follow
from safelight.transport import Transport


class AsyncJob:
    """A job that was submitted, or found. Watched from its first event on, as soon as something asks for events."""

    def __init__(self, rest: Rest, transport: Transport, state: JobState, feed: Feed | None = None) -> None:
        self._rest = rest
        self._transport = transport
        self._state = state
        self._followed = 0
        self._feed = feed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.task} {self.status}>"

    @property
    def id(self) -> str:
        return self._state.id

    @property
    def task(self) -> TaskName:
        return self._state.task

    @property
    def state(self) -> JobState:
        """The job as far as its events have arrived; as it was found, if it is not watched."""
        if self._feed is not None:
            facts = self._feed.facts
            for fact in facts[self._followed :]:
                self._state = follow(self._state, fact)
            self._followed = len(facts)
            state = self._state
            for hint in self._feed.hints.values():
                state = follow(state, hint)
            return state
        return self._state

    @property
    def status(self) -> JobStatus:
        return self.state.status

    @property
    def outputs(self) -> list[AsyncOutput]:
        """The outputs that are ready, in order."""
        ready = sorted(self.state.outputs, key=lambda output: output.index)
        return [AsyncOutput(self._rest, self.id, output) for output in ready]

    @property
    def reference(self) -> str:
        """How a later job names the first output of this one as its picture."""
        return f"job:{self.id}/0"

    async def events(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Every fact with a seq above `after`, once and in order, and hints as they come, up to the terminal fact.

        A slow reader misses no fact; of hints it sees the newest. May be called any number of times.

        Raises:
            RequestRefused, ConnectionLost, ServerUnreachable.
        """
        async for event in self._watch().events(after):
            yield event

    async def wait(self) -> JobState:
        """Wait for the end, whichever it is, and return the job's last state."""
        if not self._state.status.is_terminal:
            await self._watch().wait()
        return self.state

    async def result(self) -> list[AsyncOutput]:
        """Wait for the end and return the outputs.

        Raises:
            JobFailed, JobCancelled: it ended otherwise; the exception holds the job with what outputs there are.
        """
        state = await self.wait()
        if state.status is JobStatus.FAILED:
            raise errors.JobFailed(state)
        if state.status is JobStatus.CANCELLED:
            raise errors.JobCancelled(state, self._cancel_reason())
        return self.outputs

    async def cancel(self) -> None:
        """Ask that the job be cancelled; `wait` tells when it was.

        Raises:
            RequestRefused: `already_ended`, or `not_found`.
        """
        await self._transport.cancel(self.id)

    async def skip(self) -> None:
        """Ask that the job leave out the image it is at, and go on with the next; `output.skipped` tells when it did.

        Asked once, over HTTP whatever the events come by: repeated after a connection that broke, it could cost
        another image.

        Raises:
            RequestRefused: `already_ended`, `not_found`; `invalid_params`: it waits, or makes one image.
            ConnectionLost: whether the server heard is not known.
        """
        try:
            async with self._rest.stream("POST", f"/v1/jobs/{self.id}/skip") as answer:
                await answer.aread()
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise errors.ConnectionLost(f"the connection broke while a skip was asked for ({reason})") from None

    async def forget(self) -> None:
        """Remove the job from the server, with its facts, inputs and outputs, now instead of when it expires.

        Raises:
            RequestRefused: `not_ended`: it waits or runs. `not_found`: it is gone already; also where the connection
                broke after the server had heard.
        """
        await self._rest.json("DELETE", f"/v1/jobs/{self.id}/record")

    def _watch(self) -> Feed:
        if self._feed is None:
            self._feed = self._transport.watch(self.id)
        return self._feed

    def _cancel_reason(self) -> str:
        for fact in self._feed.facts if self._feed is not None else ():
            if isinstance(fact.body, JobCancelled):
                return fact.body.reason
        return ""
