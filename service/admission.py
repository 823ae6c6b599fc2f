"""Who waits, and in what order: interactive work first, then priority, then fair share between keys, then age.

Fair share: within one class and priority each key has a queue of its own, oldest first; the keys take turns by
*virtual time*: taking a job moves its key's clock one turn on, and the key whose clock is furthest behind is next. A
key that comes back after a pause starts at the present turn: it can neither save up nor be made to wait for its past.

Source: start-time fair queueing (Goyal, Vin and Cheng 1996), with every job counted as one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sortedcontainers import SortedKeyList, SortedList

from protocol.requests import Priority, TaskName

PRIORITY_RANK: Final = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
_MEMORY: Final = 0.2
"""Share of the newest duration in the moving average of its task."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job in the queue.

    Attributes:
        arrival: rises with every accepted job; a requeued job keeps its own, and so its place.
    """

    job_id: str
    key_id: str
    task: TaskName
    is_batch: bool
    priority: Priority
    arrival: int

    @property
    def bucket(self) -> tuple[bool, int]:
        return (self.is_batch, PRIORITY_RANK[self.priority])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands.

    Attributes:
        position: jobs ahead of it, 0 for the next one.
        wait_s: about how long those take, where every one of their tasks has been measured.
    """

    position: int
    wait_s: float | None


class _Bucket:
    """The queues of all keys within one class and priority."""

    def __init__(self) -> None:
        self.queues: dict[str, SortedKeyList] = {}
        self.turns: dict[str, int] = {}
        self.order: SortedList = SortedList()  # (turn, arrival of the head, key id)
        self.present = 0
        self.count = 0
        self.per_task: dict[TaskName, int] = {}

    def add(self, waiting: Waiting) -> None:
        key_id = waiting.key_id
        queue = self.queues.get(key_id)
        if queue is None:
            queue = self.queues[key_id] = SortedKeyList(key=lambda other: other.arrival)
            self.turns[key_id] = max(self.turns.get(key_id, 0), self.present)
        else:
            self.order.remove(self._entry(key_id))
        queue.add(waiting)
        self.order.add(self._entry(key_id))
        self._tally(waiting, 1)

    def remove(self, waiting: Waiting) -> None:
        self.order.remove(self._entry(waiting.key_id))
        queue = self.queues[waiting.key_id]
        queue.remove(waiting)
        if queue:
            self.order.add(self._entry(waiting.key_id))
        else:
            del self.queues[waiting.key_id]
        self._tally(waiting, -1)

    def head(self) -> Waiting | None:
        if not self.order:
            return None
        head: Waiting = self.queues[self.order[0][2]][0]
        return head

    def take(self) -> Waiting:
        waiting = self.head()
        assert waiting is not None
        self.present = self.turns[waiting.key_id]
        self.remove(waiting)
        self.turns[waiting.key_id] = self.present + 1
        if waiting.key_id in self.queues:
            # `remove` put the key back with its old turn
            self.order.remove((self.present, self.queues[waiting.key_id][0].arrival, waiting.key_id))
            self.order.add(self._entry(waiting.key_id))
        if not self.queues:  # nobody is owed anything any more
            self.turns.clear()
            self.present = 0
        return waiting

    def rank(self, waiting: Waiting) -> int:
        """How many jobs of this bucket go before `waiting`."""
        own: int = self.queues[waiting.key_id].bisect_key_left(waiting.arrival)
        turn = self.turns[waiting.key_id] + own
        ahead = own
        for key_id, queue in self.queues.items():
            if key_id != waiting.key_id:
                # Of another key's jobs, taken at turns t, t+1, ..., those before ours; at the same turn the older one.
                behind = turn - self.turns[key_id]
                ahead += min(len(queue), max(0, behind))
                if 0 <= behind < len(queue) and queue[behind].arrival < waiting.arrival:
                    ahead += 1
        return ahead

    def seconds(self, mean_s: Callable[[TaskName], float | None]) -> float | None:
        """What everything in here takes together, if every task in it has been measured."""
        total = 0.0
        for task, count in self.per_task.items():
            mean = mean_s(task)
            if mean is None:
                return None
            total += count * mean
        return total

    def _entry(self, key_id: str) -> tuple[int, int, str]:
        return (self.turns[key_id], self.queues[key_id][0].arrival, key_id)

    def _tally(self, waiting: Waiting, change: int) -> None:
        self.count += change
        count = self.per_task.get(waiting.task, 0) + change
        if count:
            self.per_task[waiting.task] = count
        else:
            self.per_task.pop(waiting.task, None)


class Admission:
    """The queue. For the event loop only; every call takes logarithmic time in the number of waiting jobs."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._buckets = {(is_batch, rank): _Bucket() for is_batch in (False, True) for rank in PRIORITY_RANK.values()}
        self._per_key: dict[str, int] = {}
        self._kept: dict[str, str] = {}
        self._kept_per_key: dict[str, int] = {}
        self._mean_s: dict[TaskName, float] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._waiting

    @property
    def taken(self) -> int:
        """Places of jobs that wait, and of those that are being accepted."""
        return len(self._waiting) + len(self._kept)

    def taken_by_key(self, key_id: str) -> int:
        """As `taken`, of one key."""
        return self._per_key.get(key_id, 0) + self._kept_per_key.get(key_id, 0)

    def reserve(self, job_id: str, key_id: str) -> None:
        """Keep a place for a job that is being accepted, until it is added or released."""
        self._kept[job_id] = key_id
        self._kept_per_key[key_id] = self._kept_per_key.get(key_id, 0) + 1

    def release(self, job_id: str) -> None:
        """Keep the place of a job no longer, if any is kept."""
        key_id = self._kept.pop(job_id, None)
        if key_id is not None:
            _count_down(self._kept_per_key, key_id)

    def count_like(self, waiting: Waiting) -> int:
        """Waiting jobs of the same class and priority."""
        return self._buckets[waiting.bucket].count

    def counts(self) -> dict[str, int]:
        """Waiting jobs by class."""
        return {
            name: sum(bucket.count for (batch, _), bucket in self._buckets.items() if batch is is_batch)
            for name, is_batch in (("interactive", False), ("batch", True))
        }

    def add(self, waiting: Waiting) -> None:
        self.release(waiting.job_id)
        self._waiting[waiting.job_id] = waiting
        self._buckets[waiting.bucket].add(waiting)
        self._per_key[waiting.key_id] = self._per_key.get(waiting.key_id, 0) + 1

    def remove(self, job_id: str) -> bool:
        """Take a job out of the queue; False if it is not in it."""
        waiting = self._waiting.get(job_id)
        if waiting is None:
            return False
        self._buckets[waiting.bucket].remove(waiting)
        self._forget(waiting)
        return True

    def take(self, fits: Callable[[Waiting], bool]) -> Waiting | None:
        """Take the next job for which there is room.

        Within a class nothing overtakes a job that does not fit yet; of the two, interactive work is first.
        """
        for is_batch in (False, True):
            for rank in PRIORITY_RANK.values():
                bucket = self._buckets[is_batch, rank]
                head = bucket.head()
                if head is None:
                    continue
                if fits(head):
                    self._forget(bucket.take())
                    return head
                break
        return None

    def place(self, job_id: str) -> Place | None:
        """Where a waiting job stands; None if it does not wait."""
        waiting = self._waiting.get(job_id)
        if waiting is None:
            return None
        position, wait_s = 0, 0.0
        is_measured = True
        for key, bucket in self._buckets.items():
            if not bucket.count:
                continue
            total_s = bucket.seconds(self._mean_s.get)
            if key != waiting.bucket:
                ahead = bucket.count
                ahead_s = total_s
            else:
                ahead = bucket.rank(waiting)
                ahead_s = None if total_s is None else total_s * ahead / bucket.count
            position += ahead
            if ahead_s is None:
                is_measured = False
            else:
                wait_s += ahead_s
            if key == waiting.bucket:
                break
        return Place(position, wait_s if is_measured else None)

    def first_of_keys(self, limits: Mapping[str, int]) -> Iterator[Waiting]:
        """The oldest waiting jobs of each key in each bucket, at most `limits[key]` of each."""
        for bucket in self._buckets.values():
            for key_id, limit in limits.items():
                yield from islice(bucket.queues.get(key_id, ()), limit)

    def measured(self, task: TaskName, seconds: float) -> None:
        """Learn from a job that succeeded how long its task takes."""
        mean = self._mean_s.get(task)
        self._mean_s[task] = seconds if mean is None else mean + _MEMORY * (seconds - mean)

    def mean_s(self, task: TaskName) -> float | None:
        """How long a job of this task takes, lately; None before the first."""
        return self._mean_s.get(task)

    def _forget(self, waiting: Waiting) -> None:
        del self._waiting[waiting.job_id]
        _count_down(self._per_key, waiting.key_id)


def _count_down(counts: dict[str, int], key_id: str) -> None:
    counts[key_id] -= 1
    if not counts[key_id]:
        del counts[key_id]
