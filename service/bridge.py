"""Carries events from the engine's threads to the event loop, in order: the only crossing."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from protocol.events import EventBody

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event as the engine told it: not yet numbered."""

    body: EventBody
    job_id: str | None
    attempt: int


class Bridge:
    """An `engine.interface.engine.EventSink` whose other end is on the event loop.

    `emit` and `changed` are for any thread and never block: no client can slow a step.

    Args:
        on_events: called on the loop with what was emitted, oldest first.
        on_change: called on the loop after the engine's room may have changed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_events: Callable[[Sequence[Emitted]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_events = on_events
        self._on_change = on_change
        self._waiting: list[Emitted | None] = []
        self._lock = threading.Lock()

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None:
        self._put(Emitted(body, job_id, attempt))

    def changed(self) -> None:
        self._put(None)

    def _put(self, item: Emitted | None) -> None:
        # Without the lock two threads could put at once, and each believe the other's item was there before.
        with self._lock:
            self._waiting.append(item)
            if len(self._waiting) > 1:
                return  # a wake-up is already on its way and will take this one along
        try:
            self._loop.call_soon_threadsafe(self.drain)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            logger.debug("bridge.closed", item=repr(item))

    def drain(self) -> None:
        """Hand over everything that waits. On the event loop."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        emitted = [item for item in waiting if item is not None]
        if emitted:
            self._on_events(emitted)
        if len(emitted) < len(waiting):
            self._on_change()


class Announcer:
    """Tells events of the server topic through a bridge that does not exist yet when the engine is put together."""

    def __init__(self) -> None:
        self._bridge: Bridge | None = None

    def connect(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def __call__(self, body: EventBody) -> None:
        """From any thread. Before `connect` nobody is there to hear it."""
        if self._bridge is not None:
            self._bridge.emit(body)
