"""Everything one client knows of one job: its facts, complete and in order, whatever the connection does."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from protocol.events import Event
from safelight.reader import Reader
from safelight.wire import read_event


class Gap(Exception):
    """An event shows that facts before it are missing: resume from the last one that is there."""


class Feed:
    """The events of one job from its first fact on, for any number of readers. For the event loop's thread only.

    A transport offers what arrives, repeats and all; the feed keeps each fact once and refuses one that would leave a
    gap. Facts are kept (a job has few), of hints the latest of each type.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.seq = 0
        """Of the last fact taken; resume after this."""
        self._attempt = 1
        self._facts: list[Event] = []
        self._hints: dict[str, Event] = {}
        self._is_resuming: set[str] = set()
        self._readers: set[Reader] = set()
        self._end = asyncio.Event()
        self._error: Exception | None = None

    @property
    def facts(self) -> Sequence[Event]:
        return self._facts

    @property
    def hints(self) -> Mapping[str, Event]:
        """Event type -> the latest hint of that type."""
        return self._hints

    @property
    def last_n(self) -> int:
        """The counter of the newest hint of this attempt; 0 before the first."""
        return max((hint.n or 0 for hint in self._hints.values() if hint.attempt == self._attempt), default=0)

    @property
    def has_ended(self) -> bool:
        """Whether the terminal fact is here, or none can come any more."""
        return self._end.is_set()

    def subscription(self) -> dict[str, Any]:
        """The message that asks for what comes next."""
        return {"type": "subscribe", "job_id": self.job_id, "after": self.seq}

    def subscribed(self, cursor: str | None) -> None:
        """The server agreed; it has nothing to add for a single job."""

    def resuming(self) -> None:
        """A new connection begins: the server may repeat the latest hints, or count anew after a restart."""
        self._is_resuming = set(self._hints)

    def offer(self, fields: Mapping[str, Any]) -> bool:
        """Take a decoded event, unless it is here already.

        Returns:
            Whether it was news.

        Raises:
            Gap: facts between the last one here and this event are missing.
            UnexpectedAnswer: it cannot be read.
        """
        seq = int(fields.get("seq", 0))
        is_fact = "n" not in fields
        if self.has_ended or (is_fact and seq <= self.seq):
            return False
        if seq > self.seq + is_fact:
            raise Gap(f"job {self.job_id}: {fields.get('type')} with seq {seq} after fact {self.seq}")
        event = read_event(fields)
        if is_fact:
            self.seq = seq
        if event is None or not (is_fact or self._is_newer(event)):
            return False
        self._attempt = getattr(event.body, "attempt", event.attempt) or self._attempt
        if is_fact:
            self._facts.append(event)
        else:
            self._hints[event.type] = event
        for reader in self._readers:
            reader.put(event)
        if event.is_terminal:
            self._finish(None)
        return True

    def fail(self, error: Exception) -> None:
        """No more events will come: readers get what is here, then `error`."""
        if not self.has_ended:
            self._finish(error)

    async def events(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Every fact with a seq above `after`, once and in order, and hints as they come, up to the terminal fact.

        Raises:
            SafelightError: the events cannot be had any more; see `fail`.
        """
        reader = self._open()
        try:
            async for event in reader:
                if event.seq > after or not event.is_fact:
                    yield event
        finally:
            self._readers.discard(reader)

    async def wait(self) -> None:
        """Return when the terminal fact is here.

        Raises:
            SafelightError: it will not come; see `fail`.
        """
        await self._end.wait()
        if self._error is not None:
            raise self._error

    def _open(self) -> Reader:
        """A reader that begins with what is here already."""
        reader = Reader()
        # A hint comes after the fact it follows, and before the next one.
        for event in sorted([*self._facts, *self._hints.values()], key=lambda event: (event.seq, event.n or 0)):
            reader.put(event)
        if self.has_ended:
            reader.end(self._error)
        else:
            self._readers.add(reader)
        return reader

    def _is_newer(self, hint: Event) -> bool:
        old = self._hints.get(hint.type)
        if old is None:
            return True
        if hint.type in self._is_resuming:
            self._is_resuming.discard(hint.type)
            return (hint.attempt, hint.n, hint.at) != (old.attempt, old.n, old.at)
        return (hint.attempt or 0, hint.n or 0) > (old.attempt or 0, old.n or 0)

    def _finish(self, error: Exception | None) -> None:
        self._error = error
        self._end.set()
        for reader in self._readers:
            reader.end(error)
        self._readers.clear()
