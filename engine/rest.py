"""When the executor looks for models that nobody has used for long."""

import time
from typing import Final

_LOOKS: Final = 4
"""In the time a model may be idle: it stays at most a quarter of it longer."""


class Rest:
    """The time of the next look. For the executor thread.

    Args:
        idle_s: a model may be unused for this long; None is for ever, and nothing is ever due.
    """

    def __init__(self, idle_s: float | None) -> None:
        self._idle_s = idle_s
        self._next_at = self._later()

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._next_at is not None and time.monotonic() >= self._next_at

    def due_s(self) -> float | None:
        """If it is time to look, the idle time to look for, and it is not due again for a while; else None."""
        if not self.is_due:
            return None
        self._next_at = self._later()
        return self._idle_s

    def sooner(self, timeout_s: float | None) -> float | None:
        """How long to wait: `timeout_s`, or until the next look if that comes first. None is for ever."""
        if self._next_at is None:
            return timeout_s
        left_s = max(0.0, self._next_at - time.monotonic())
        return left_s if timeout_s is None else min(left_s, timeout_s)

    def _later(self) -> float | None:
        return None if self._idle_s is None else time.monotonic() + self._idle_s / _LOOKS
