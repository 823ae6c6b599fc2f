"""What a worker knows of the rows: which have work, and which are passed over."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from service.cluster.delivery import ANSWER_S
from service.cluster.names import Row
from service.cluster.work_rows import RowState, StreamState, WorkRows

_BELIEVED_S: Final = 0.25
_LISTED_AGAIN_S: Final = 4.0


class RowList:
    """Which rows have work, as NATS said last.

    Args:
        clock: seconds, rising.
    """

    def __init__(self, rows: WorkRows, clock: Callable[[], float]) -> None:
        self._rows = rows
        self._clock = clock
        self._states: dict[Row, RowState] = {}
        self._asked_at: float | None = None
        self._listed_at = 0.0
        self._listed_as: StreamState | None = None
        self._untouched: dict[Row, tuple[int, float]] = {}
        """How often a row with work had been taken from, and since when."""

    @property
    def rows(self) -> set[Row]:
        return set(self._states)

    def state(self, row: Row) -> RowState | None:
        return self._states.get(row)

    def passed_over_s(self, row: Row) -> float:
        """How long the row has had work that nobody took, as far as seen here."""
        seen = self._untouched.get(row)
        return self._clock() - seen[1] if seen is not None else 0.0

    def expire(self) -> None:
        """Ask NATS at the next `refresh`, however short ago it was asked."""
        self._asked_at = None

    def forget(self) -> None:
        """List anew at the next `refresh`, even if nothing was put in since."""
        self._asked_at = self._listed_as = None

    async def refresh(self) -> bool:
        """Ask NATS unless it was asked just now; whether it was asked.

        Raises:
            Unavailable: no answer.
        """
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < _BELIEVED_S:
            return False
        stream = await self._rows.stream(timeout_s=ANSWER_S)
        is_dry = not any(state.pending for state in self._states.values())
        if not is_dry or stream != self._listed_as or now - self._listed_at >= _LISTED_AGAIN_S:
            # Idle workers ask often, and of a large cluster the list is long.
            states = await self._rows.all(timeout_s=ANSWER_S)
            self._states = {state.row: state for state in states}
            self._listed_at, self._listed_as = now, stream
            self._note_untouched(now)
        self._asked_at = now
        return True

    def ran_dry(self, row: Row) -> None:
        self._set_pending(row, 0)

    def was_taken(self, row: Row) -> None:
        state = self._states.get(row)
        if state is not None:
            # It may be handed back, and then only what is unacknowledged says that there is something.
            pending, unacknowledged = max(0, state.pending - 1), state.unacknowledged + 1
            self._states[row] = replace(state, pending=pending, unacknowledged=unacknowledged)
        self._untouched.pop(row, None)

    def _set_pending(self, row: Row, pending: int) -> None:
        state = self._states.get(row)
        if state is not None:
            self._states[row] = replace(state, pending=pending)

    def _note_untouched(self, now: float) -> None:
        seen, self._untouched = self._untouched, {}
        for row, state in self._states.items():
            if state.pending:
                before = seen.get(row)
                is_same = before is not None and before[0] == state.deliveries
                self._untouched[row] = before if before is not None and is_same else (state.deliveries, now)
