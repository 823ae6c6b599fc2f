"""How long to wait before trying again, and when to stop trying."""

import random
import time
from typing import Final

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 10.0


class Backoff:
    """Delays that double from try to try, each cut by a random share so that many clients do not come back as one.

    Args:
        patience_s: how long without success until `is_exhausted`; None never gives up.
    """

    def __init__(self, patience_s: float | None) -> None:
        self._patience_s = patience_s
        self._failures = 0
        self._since: float | None = None

    def succeeded(self) -> None:
        """Begin anew: the last try worked."""
        self._failures = 0
        self._since = None

    def failed(self) -> None:
        """Count one more try that did not work."""
        self._failures += 1
        if self._since is None:
            self._since = time.monotonic()

    @property
    def is_exhausted(self) -> bool:
        """Whether patience has run out since the first of the failures in a row."""
        if self._patience_s is None or self._since is None:
            return False
        return time.monotonic() - self._since >= self._patience_s

    def delay_s(self) -> float:
        """How long to wait now: between half and all of the doubled delay."""
        doubled = FIRST_DELAY_S * 2.0 ** min(max(self._failures, 1) - 1, 32)
        return min(doubled, LONGEST_DELAY_S) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
