"""How many jobs may be live together: a memory budget by estimate, and a count of each class."""

import threading
from typing import Final, NamedTuple

_BATCH_SHARE: Final = 0.75
"""Of the memory budget; the rest is kept for interactive work, which would otherwise wait for a batch job to end."""


class Taken(NamedTuple):
    """What live jobs take together."""

    jobs: int
    bytes: int


class Room:
    """The books of what live jobs take. From any thread.

    Args:
        budget_bytes: for all live jobs together; 0 until it is known, which leaves room for one job of each class.
        max_live_jobs: of each class (interactive, batch), whatever their size.
    """

    def __init__(self, budget_bytes: int, max_live_jobs: int) -> None:
        self.budget_bytes = budget_bytes
        self._max_live_jobs = max_live_jobs
        self._books = threading.Lock()
        self._bytes = {False: 0, True: 0}
        self._count = {False: 0, True: 0}

    def has(self, needed_bytes: int, *, is_batch: bool) -> bool:
        """Whether one more job of this size and class fits now."""
        with self._books:
            if self._count[is_batch] >= self._max_live_jobs:
                return False
            if self._count[is_batch] == 0:
                return True  # one of each class always fits, or a job larger than the budget would wait for ever
            if is_batch:
                return self._bytes[True] + needed_bytes <= self.budget_bytes * _BATCH_SHARE
            return sum(self._bytes.values()) + needed_bytes <= self.budget_bytes

    def take(self, needed_bytes: int, *, is_batch: bool) -> None:
        """A job takes its place, whether there was room or not."""
        with self._books:
            self._bytes[is_batch] += needed_bytes
            self._count[is_batch] += 1

    def give_back(self, needed_bytes: int, *, is_batch: bool) -> None:
        """A job has left."""
        with self._books:
            self._bytes[is_batch] -= needed_bytes
            self._count[is_batch] -= 1

    def taken(self) -> Taken:
        with self._books:
            return Taken(sum(self._count.values()), sum(self._bytes.values()))
