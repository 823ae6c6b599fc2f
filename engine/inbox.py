"""What other threads ask of the executor thread, in the order they asked."""

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

Message: TypeAlias = Callable[[], None]
"""Something to be done on the executor thread."""


class _Posted(NamedTuple):
    message: Message
    is_submission: bool


class Inbox:
    """Messages to the executor thread. Posting is for any thread; the rest is for the executor thread."""

    def __init__(self) -> None:
        self._posted: deque[_Posted] = deque()
        self._wake = threading.Condition()

    def post(self, message: Message, *, is_submission: bool = False) -> None:
        """Have `message` run on the executor thread, soon.

        Args:
            is_submission: it makes a job live, so it is run even if the executor is stopping; see `deliver_last`.
        """
        with self._wake:
            self._posted.append(_Posted(message, is_submission))
            self._wake.notify()

    def deliver(self) -> bool:
        """Run what was posted until now; returns whether there was anything."""
        posted = self._take()
        for each in posted:
            each.message()
        return bool(posted)

    def deliver_last(self) -> None:
        """Run the submissions posted until now, and drop all else: nobody is left for it to matter to."""
        for each in self._take():
            if each.is_submission:
                each.message()

    def wait(self, timeout_s: float | None) -> None:
        """Return as soon as something is posted, at once if something is, and after `timeout_s` (None: never)."""
        with self._wake:
            if not self._posted:
                self._wake.wait(timeout_s)

    def _take(self) -> list[_Posted]:
        with self._wake:
            posted = list(self._posted)
            self._posted.clear()
        return posted
