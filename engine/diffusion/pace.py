"""How many rows one forward should take, from how long forwards have taken. Imports no torch.

More rows in one forward pay where the device is not yet full: on a GPU with small pictures, on a CPU with tiny models
only. So it is measured, while real jobs run: time per row at 1, 2 to 3, 4 to 7, ... rows, each level tried once the
one below has been.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MOST_ROWS: Final = 32
"""Whatever was measured: more gain little anywhere, and need memory."""
_LONGEST_RUN_S: Final = 0.5
"""More urgent work waits for one run; but a run of twice one call's time is no surprise to it."""
_GAIN: Final = 0.97
"""Time per row, over that at the level below, that is still worth it."""
_LEAST_RUNS: Final = 2
"""Of a level before it may be found to pay. The fastest of those kept counts: the first loads kernels and makes room,
and any may be disturbed by what else the machine does."""
_KEPT_RUNS: Final = 9
"""Of a level; as many are made before it is found not to pay."""
_FIRST_PATIENCE_RUNS: Final = 32
_MOST_PATIENCE_RUNS: Final = 8192


@dataclass(slots=True)
class _Level:
    """Runs of 2^n to 2^(n+1) - 1 rows."""

    seconds_per_row: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_RUNS))
    patience: int = _FIRST_PATIENCE_RUNS
    barred_until: int = 0
    """No run of this many rows before that many runs have been made."""

    def undisturbed_s(self) -> float | None:
        """Seconds per row; None if it has not been run often enough."""
        return None if len(self.seconds_per_row) < _LEAST_RUNS else min(self.seconds_per_row)

    @property
    def is_known(self) -> bool:
        return len(self.seconds_per_row) == _KEPT_RUNS


class Pace:
    """Of one module with arguments of one shape. For the executor thread."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._runs = 0

    def record(self, rows: int, seconds: float) -> None:
        """Note that one run of `rows` rows took `seconds`, until the device was done."""
        self._runs += 1
        self._level(rows).seconds_per_row.append(seconds / rows)

    def fail(self, rows: int) -> None:
        """Note that a run of several calls raised, for want of memory perhaps: as many rows rest for a while."""
        self._bar(self._level(rows))

    def most_rows(self, rows: int) -> int:
        """The most rows one run should take.

        Args:
            rows: of one call.

        Returns:
            At least `rows`; exactly that where calls should be run one by one.
        """
        single_s = self._level(rows).undisturbed_s()
        if single_s is None:
            return rows
        longest_s = max(_LONGEST_RUN_S, 2 * single_s * rows)
        per_row_s, most = single_s, rows
        while 2 * most <= MOST_ROWS:
            above = self._level(2 * most)
            above_s = above.undisturbed_s()
            if above.barred_until > self._runs:
                break
            if above_s is None:
                is_short = 2 * most * per_row_s <= longest_s
                return 2 * most if is_short else most
            if above_s > _GAIN * per_row_s or 2 * most * above_s > longest_s:
                if not above.is_known:
                    return 2 * most
                self._bar(above)
                break
            if above.is_known:
                above.patience = _FIRST_PATIENCE_RUNS
            per_row_s, most = above_s, 2 * most
        return most

    def _level(self, rows: int) -> _Level:
        return self._levels.setdefault(rows.bit_length() - 1, _Level())

    def _bar(self, level: _Level) -> None:
        """Leave a level alone for a while, each time for longer, then judge it anew."""
        level.barred_until = self._runs + level.patience
        level.patience = min(2 * level.patience, _MOST_PATIENCE_RUNS)
        level.seconds_per_row.clear()
