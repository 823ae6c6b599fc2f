"""For how long the device may be kept from batch work while interactive work is beside it, in the side pool.

An interactive job that leaves the device for a moment would come back and find it taken, once more with every such
moment. So batch work waits meanwhile; but not without end, or a stream of edits would leave the device idle and the
batch work where it is. Holding spends a credit, not holding earns it back: one edit has the whole credit, and of a
stream of them batch work still gets every other second.

Source: a token bucket, as traffic shapers use it (Turner 1986), in seconds.
"""

import time
from collections.abc import Callable
from typing import Final

MOST_HOLD_S: Final = 10.0
"""The whole credit: more than filling a hole in a large photograph takes."""


class DeviceHold:
    """Whether batch work waits for interactive work that is not on the device just now. For the executor thread.

    Args:
        most_s: the longest hold, after a time without any.
        clock: monotonic seconds.
    """

    def __init__(self, most_s: float = MOST_HOLD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_s = most_s
        self._clock = clock
        self._credit_s = most_s
        self._at = clock()
        self._is_on = False

    def wanted(self, is_wanted: bool) -> bool:
        """Ask for the hold, or let go of it; returns whether it is on now."""
        now = self._clock()
        passed_s, self._at = now - self._at, now
        self._credit_s = min(self._most_s, max(0.0, self._credit_s + (-passed_s if self._is_on else passed_s)))
        self._is_on = is_wanted and self._credit_s > 0
        return self._is_on

    @property
    def left_s(self) -> float | None:
        """When to ask again, in seconds from the last time; None while the hold is not on."""
        return self._credit_s if self._is_on else None
