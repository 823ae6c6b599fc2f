"""How many rows one forward should take, from how long forwards have taken. Imports no torch.

More rows in one forward pay where the device is not yet full: on a GPU with small pictures, on a CPU with tiny models
only. So it is measured, while real jobs run: time per row at 1, 2 to 3, 4 to 7, ... rows, each level tried once the
one below has been.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median_low
from typing import Final

MOST_ROWS: Final = 32
"""Whatever was measured: more gain little anywhere, and need memory."""
_LONGEST_RUN_S: Final = 0.5
"""More urgent work waits for one run; but a run of twice one call's time is no surprise to it."""
_GAIN: Final = 0.97
"""Time per row, over that at the level below, that is still worth it."""
_LEAST_RUNS: Final = 2
"""Of a level before it is judged, after a first that is not counted: it loads kernels and makes room."""
_KEPT_RUNS: Final = 5
_FIRST_PATIENCE_RUNS: Final = 128
_MOST_PATIENCE_RUNS: Final = 8192


@dataclass(slots=True)
class _Level:
    """Runs of 2^n to 2^(n+1) - 1 rows."""

    is_warm: bool = False
    seconds_per_row: deque[float] | None = None
    patience: int = _FIRST_PATIENCE_RUNS
    barred_until: int = 0
    """No run of this many rows before that many runs have been made."""

    def typical_s(self) -> float | None:
        """Seconds per row; None if it has not been run often enough."""
        runs = self.seconds_per_row
        return None if runs is None or len(runs) < _LEAST_RUNS else median_low(runs)


class Pace:
    """Of one module with arguments of one shape. For the executor thread."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._runs = 0

    def record(self, rows: int, seconds: float) -> None:
        """Note that one run of `rows` rows took `seconds`, until the device was done."""
        self._runs += 1
        level = self._level(rows)
        if not level.is_warm:
            level.is_warm = True
            return
        if level.seconds_per_row is None:
            level.seconds_per_row = deque(maxlen=_KEPT_RUNS)
        level.seconds_per_row.append(seconds / rows)

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
        single_s = self._level(rows).typical_s()
        if single_s is None:
            return rows
        longest_s = max(_LONGEST_RUN_S, 2 * single_s * rows)
        per_row_s, most = single_s, rows
        while 2 * most <= MOST_ROWS:
            above = self._level(2 * most)
            above_s = above.typical_s()
            if above.barred_until > self._runs or 2 * most * (above_s or per_row_s) > longest_s:
                break
            if above_s is not None and above_s > _GAIN * per_row_s:
                self._bar(above)
                break
            most *= 2
            if above_s is None:
                break
            per_row_s = above_s
        return most

    def _level(self, rows: int) -> _Level:
        return self._levels.setdefault(rows.bit_length() - 1, _Level())

    def _bar(self, level: _Level) -> None:
        """Leave a level alone for a while, each time for longer, then judge it anew."""
        level.barred_until = self._runs + level.patience
        level.patience = min(2 * level.patience, _MOST_PATIENCE_RUNS)
        level.is_warm = False
        level.seconds_per_row = None
