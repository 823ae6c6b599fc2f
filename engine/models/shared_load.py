"""A load that several jobs wait for: made in calls, by whichever of them gets to it."""

import threading
from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from engine.interface import Call
from engine.live import Outcome, run_alone

T = TypeVar("T")
Loading: TypeAlias = Generator[Call, Any, T]
"""Loads a model in calls, and returns it."""


class SharedLoad:
    """The calls of one load, each made once. For the executor thread, but for the calls it gives out."""

    def __init__(self, steps: Loading[None]) -> None:
        self._steps = steps
        self._part: _Part | None = None

    def next_call(self) -> Call | None:
        """The call that comes next, or is under way for another job; None when all are made.

        Whoever makes it raises what it raised.

        Raises:
            BaseException: whatever the loader raised between two calls.
        """
        try:
            if self._part is None:
                self._part = _Part(next(self._steps))
            elif self._part.outcome is not None:
                self._part = _Part(self._steps.send(self._part.outcome.value))
        except StopIteration:
            return None
        return Call(self._part.run, self._part.call.where, stage="load")

    def fail(self, error: Exception) -> None:
        """Raise what the loader makes of a call that failed; it has let go of everything then.

        Raises:
            BaseException: what it raised; `error` itself if it had nothing to add, or had failed already.
        """
        self._steps.throw(error)
        raise error

    def give_up(self) -> None:
        """Let go of what was loaded so far."""
        self._steps.close()


class _Part:
    """One call. On whichever thread it is made first; another that comes meanwhile waits for it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.outcome: Outcome | None = None
        self._making = threading.Lock()

    def run(self) -> None:
        with self._making:
            if self.outcome is None:
                self.outcome = run_alone(self.call)
        if self.outcome.error is not None:
            raise self.outcome.error
