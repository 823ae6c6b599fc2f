"""One reader of events, as slow as it likes: facts wait in line, a newer hint takes the place of an older one."""

import asyncio
from collections.abc import AsyncIterator

from protocol.events import Event


class Reader(AsyncIterator[Event]):
    """Hands events on in the order they came. For the event loop's thread only.

    A hint that has not been read when the next of its job, or model, and type comes is dropped, and the new one goes
    to the end: a slow reader sees fewer hints, never staler ones, and every fact.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Event] = {}
        self._wake = asyncio.Event()
        self._has_ended = False
        self._error: Exception | None = None

    def put(self, event: Event) -> None:
        """Add an event; never blocks. Ignored after the end."""
        if self._has_ended:
            return
        key = (event.job_id, event.seq) if event.is_fact else (event.about, event.type)
        self._waiting.pop(key, None)
        self._waiting[key] = event
        self._wake.set()

    def end(self, error: Exception | None = None) -> None:
        """Nothing comes after what is waiting; then iteration stops, or raises `error`."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
            self._wake.set()

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.pop(next(iter(self._waiting)))
