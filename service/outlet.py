"""What stands between a subscription and one reader: a buffer that never makes anyone wait.

Facts are kept until they are read; of hints only the newest of each job, or model, and type. A reader too far behind is
cut off (`is_lagging`): it comes back, and resumes from the last fact it has.
"""

import asyncio
from typing import Protocol

from protocol.events import Event, JobRequeued


class Outlet(Protocol):
    """Where a subscription's events go. `offer` never blocks and never raises."""

    def offer(self, event: Event) -> None: ...

    async def room(self) -> None:
        """Wait until a replay may offer another page."""
        ...


class Lagging(Exception):
    """The reader was too slow for its buffer; nothing more comes."""


class Coalescing:
    """Hints waiting to be told: the newest of each job, or model, and type, oldest first."""

    def __init__(self) -> None:
        self._hints: dict[tuple[str | None, str], Event] = {}

    def __len__(self) -> int:
        return len(self._hints)

    def put(self, event: Event) -> None:
        # Taken out and put in again, so that a newer one does not keep the place of the older.
        self._hints.pop((event.about, event.type), None)
        self._hints[event.about, event.type] = event

    def outdate(self, fact: Event) -> None:
        """Forget hints that a fact has made stale: those of an ended job or attempt."""
        if fact.is_terminal or isinstance(fact.body, JobRequeued):
            for key in [key for key in self._hints if key[0] == fact.job_id]:
                del self._hints[key]

    def take(self) -> list[Event]:
        events = list(self._hints.values())
        self._hints.clear()
        return events


class BufferedOutlet:
    """An outlet somebody reads from with `take`.

    Args:
        max_facts: unread facts the reader may be behind.
    """

    def __init__(self, max_facts: int) -> None:
        self._max_facts = max_facts
        self._events: dict[object, Event] = {}
        self._fact_count = 0
        self._last: Event | None = None
        self._changed = asyncio.Event()
        self.is_lagging = False
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._events)

    def offer(self, event: Event) -> None:
        # The bus offers one event to all subscriptions in a row: two of them may end in this reader.
        if self.is_lagging or self._is_closed or event is self._last:
            return
        self._last = event
        if event.is_fact:
            if self._fact_count >= self._max_facts:
                self.is_lagging = True
                self._events.clear()
            else:
                if event.is_terminal or isinstance(event.body, JobRequeued):
                    for key in [key for key in self._events if isinstance(key, tuple) and key[0] == event.job_id]:
                        del self._events[key]
                self._events[event] = event
                self._fact_count += 1
        else:
            self._events.pop((event.about, event.type), None)
            self._events[event.about, event.type] = event
        self._changed.set()

    async def room(self) -> None:
        """Half empty again, or nobody reads any more."""
        while self._fact_count > self._max_facts // 2 and not self.is_lagging and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()

    async def take(self) -> list[Event]:
        """Wait for events and take all there are.

        Raises:
            Lagging: some have been lost to this reader, or nothing more will come.
        """
        while not self._events and not self.is_lagging and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        if self.is_lagging or not self._events:
            raise Lagging
        events = list(self._events.values())
        self._events.clear()
        self._fact_count = 0
        self._changed.set()  # `room` may be waiting for this
        return events

    def close(self) -> None:
        """End it: whoever reads gets what is left, then sees `Lagging` and goes."""
        self._is_closed = True
        self._changed.set()
