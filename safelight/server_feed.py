"""The events of the server itself: models on their way, in memory and out of it, and its stopping."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from protocol.events import Event
from safelight.reader import Reader
from safelight.wire import read_event


class ServerFeed(AsyncIterator[Event]):
    """Hints of the `server` topic, for one reader: what is told while the connection is broken is lost.

    For the event loop's thread only.
    """

    job_id = None

    def __init__(self) -> None:
        self._reader = Reader()
        self._has_ended = False
        self._begun = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    async def begun(self) -> None:
        """Wait until the server has agreed: whatever it tells from then on will come.

        Raises:
            RequestRefused, ServerUnreachable, ConnectionLost: it will not. Told by the reader, too.
        """
        await self._begun.wait()
        if self._has_ended:
            await anext(self._reader)  # raises why

    def subscription(self) -> dict[str, Any]:
        """The message that asks for what comes next."""
        return {"type": "subscribe", "topic": "server"}

    def subscribed(self, cursor: str | None) -> None:  # noqa: ARG002 - this topic has none
        """The server agreed."""
        self._begun.set()

    def resuming(self) -> None:
        """A new connection begins; nothing can be repeated."""

    def offer(self, fields: Mapping[str, Any]) -> bool:
        """Take a decoded event, if it is one of the server's own.

        Raises:
            UnexpectedAnswer: it cannot be read.
        """
        event = None if fields.get("job_id") is not None or self._has_ended else read_event(fields)
        if event is not None:
            self._reader.put(event)
        return event is not None

    def fail(self, error: Exception) -> None:
        """No more events will come: the reader gets what is here, then `error`."""
        self._has_ended = True
        self._reader.end(error)
        self._begun.set()

    async def __anext__(self) -> Event:
        return await anext(self._reader)
