import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from protocol.events import JobWarning
from service.bridge import Bridge, Emitted


class Loop:
    """Stands in for the event loop: keeps the wake-ups it is sent."""

    def __init__(self) -> None:
        self.wake_ups: list[Callable[[], None]] = []

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.wake_ups.append(callback)


class Table:
    def __init__(self) -> None:
        self.loop = Loop()
        self.taken: list[Emitted] = []
        self.batches: list[int] = []
        self.changes = 0
        self.bridge = Bridge(self.loop, self._take, self._change)  # type: ignore[arg-type] # all it uses of a loop

    def _take(self, emitted: Sequence[Emitted]) -> None:
        self.taken += emitted
        self.batches.append(len(emitted))

    def _change(self) -> None:
        self.changes += 1

    def turn(self) -> None:
        """One turn of the loop."""
        wake_ups, self.loop.wake_ups = self.loop.wake_ups, []
        for wake_up in wake_ups:
            wake_up()


@pytest.fixture
def table() -> Table:
    return Table()


def warning(number: int) -> JobWarning:
    return JobWarning(code=str(number), message="")


def test_events_come_in_order_in_one_batch_with_one_wake_up(table: Table) -> None:
    for number in range(5):
        table.bridge.emit(warning(number), job_id="a", attempt=2)
    assert len(table.loop.wake_ups) == 1
    table.turn()
    assert table.taken == [Emitted(warning(number), "a", 2) for number in range(5)]
    assert table.batches == [5]


def test_a_change_is_told_once_after_the_events_before_it(table: Table) -> None:
    table.bridge.changed()
    table.bridge.emit(warning(1))
    table.bridge.changed()
    table.turn()
    assert (len(table.taken), table.changes) == (1, 1)
    table.bridge.changed()
    table.turn()
    assert (table.batches, table.changes) == ([1], 2)


def test_what_is_emitted_while_events_are_handed_over_comes_in_the_next_turn(table: Table) -> None:
    table.bridge._on_events = lambda emitted: table.bridge.emit(warning(len(emitted)))
    table.bridge.emit(warning(0))
    table.turn()
    assert len(table.loop.wake_ups) == 1


def test_no_event_waits_for_ever_when_two_threads_emit_at_once(table: Table) -> None:
    other = threading.Thread(target=lambda: table.bridge.emit(warning(2)))

    class Interrupted(type(table.bridge._waiting)):  # type: ignore[misc] # whatever it is
        """Lets the other thread run as soon as something has been put in, for as long as it can."""

        def append(self, item: Emitted | None) -> None:
            super().append(item)
            if not other.ident:
                other.start()
                other.join(0.2)

    table.bridge._waiting = Interrupted()
    table.bridge.emit(warning(1))
    other.join()
    table.turn()
    assert len(table.taken) == 2


def test_an_event_after_the_loop_has_closed_is_dropped_without_an_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Bridge(loop, lambda _emitted: None, lambda: None).emit(warning(1))
