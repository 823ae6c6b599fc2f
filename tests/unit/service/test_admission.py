import time
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protocol.requests import Priority, TaskName
from service.admission import Admission, Place, Waiting

RANK = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


def waiting(arrival: int, key: str = "a", *, is_batch: bool = True, priority: Priority = Priority.NORMAL) -> Waiting:
    return Waiting(f"job-{arrival}", key, TaskName.UPSCALE, is_batch, priority, arrival)


def take_all(admission: Admission) -> list[str]:
    taken = []
    while (job := admission.take(lambda _: True)) is not None:
        taken.append(job.job_id)
    return taken


@dataclass
class Naive:
    """The same order, written down without any care for speed: it looks at everything each time."""

    jobs: list[Waiting] = field(default_factory=list)
    clocks: dict[tuple[bool, Priority, str], int] = field(default_factory=dict)
    present: dict[tuple[bool, Priority], int] = field(default_factory=dict)

    def add(self, job: Waiting) -> None:
        bucket, owner = (job.is_batch, job.priority), (job.is_batch, job.priority, job.key_id)
        if not any((other.is_batch, other.priority, other.key_id) == owner for other in self.jobs):
            self.clocks[owner] = max(self.clocks.get(owner, 0), self.present.get(bucket, 0))
        self.jobs.append(job)

    def remove(self, job_id: str) -> None:
        self.jobs = [job for job in self.jobs if job.job_id != job_id]

    def take(self) -> Waiting | None:
        if not self.jobs:
            return None
        first = min((job.is_batch, RANK[job.priority]) for job in self.jobs)
        bucket = [job for job in self.jobs if (job.is_batch, RANK[job.priority]) == first]
        heads: dict[str, Waiting] = {}
        for job in sorted(bucket, key=lambda job: job.arrival):
            heads.setdefault(job.key_id, job)
        head = min(heads.values(), key=lambda job: (self._clock(job), job.arrival))
        self.present[head.is_batch, head.priority] = self._clock(head)
        self.clocks[head.is_batch, head.priority, head.key_id] = self._clock(head) + 1
        self.jobs.remove(head)
        if len(bucket) == 1:
            self.present.pop((head.is_batch, head.priority))
            self.clocks = {
                owner: clock for owner, clock in self.clocks.items() if owner[:2] != (head.is_batch, head.priority)
            }
        return head

    def order(self) -> list[str]:
        copy = Naive(list(self.jobs), dict(self.clocks), dict(self.present))
        return [job.job_id for job in iter(copy.take, None)]

    def _clock(self, job: Waiting) -> int:
        return self.clocks[job.is_batch, job.priority, job.key_id]


class Comparison(RuleBasedStateMachine):
    """Whatever comes, goes and is taken: order and places are those of the naive model."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission()
        self.naive = Naive()
        self.arrival = 0
        self.taken: list[Waiting] = []

    @rule(key=st.sampled_from("abc"), is_batch=st.booleans(), priority=st.sampled_from([Priority.HIGH, Priority.LOW]))
    def arrive(self, key: str, is_batch: bool, priority: Priority) -> None:
        self.arrival += 1
        self._add(waiting(self.arrival, key, is_batch=is_batch, priority=priority))

    @rule(key=st.sampled_from("abc"), count=st.integers(1, 6))
    def arrive_together(self, key: str, count: int) -> None:
        for _ in range(count):
            self.arrival += 1
            self._add(waiting(self.arrival, key))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """A requeued job keeps its arrival."""
        job = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self._add(job)

    @precondition(lambda self: self.naive.jobs)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.naive.jobs))
        assert self.admission.remove(job.job_id)
        self.naive.remove(job.job_id)

    @rule()
    def take(self) -> None:
        job = self.admission.take(lambda _: True)
        assert job == self.naive.take()
        if job is not None:
            self.taken.append(job)

    @invariant()
    def places_are_the_order(self) -> None:
        assert len(self.admission) == len(self.naive.jobs)
        for position, job_id in enumerate(self.naive.order()):
            place = self.admission.place(job_id)
            assert place is not None
            assert place.position == position, job_id

    def _add(self, job: Waiting) -> None:
        self.admission.add(job)
        self.naive.add(job)


TestComparison = Comparison.TestCase
TestComparison.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@given(queues=st.lists(st.integers(0, 12), min_size=1, max_size=5), shuffle=st.randoms(use_true_random=False))
def test_keys_with_unequal_queues_take_turns(queues: list[int], shuffle: object) -> None:
    admission = Admission()
    owners = [str(key) for key, count in enumerate(queues) for _ in range(count)]
    shuffle.shuffle(owners)  # type: ignore[attr-defined] # hypothesis hands over a random.Random
    for arrival, owner in enumerate(owners):
        admission.add(waiting(arrival, owner))
    left = {owner: owners.count(owner) for owner in owners}
    taken = dict.fromkeys(left, 0)
    while (job := admission.take(lambda _: True)) is not None:
        taken[job.key_id] += 1
        left[job.key_id] -= 1
        among_waiting = [taken[owner] for owner, count in left.items() if count]
        assert max(among_waiting, default=0) - min(among_waiting, default=0) <= 1


def test_a_key_that_comes_late_neither_waits_for_the_others_past_nor_overtakes_for_its_own() -> None:
    admission = Admission()
    for arrival in range(20):
        admission.add(waiting(arrival, "early"))
    for _ in range(10):
        admission.take(lambda _: True)
    for arrival in range(20, 25):
        admission.add(waiting(arrival, "late"))
    following = [job.key_id for _ in range(8) if (job := admission.take(lambda _: True))]
    assert following == ["late", "early"] * 4


def test_nothing_overtakes_a_job_of_its_class_that_does_not_fit_but_the_other_class_may_go() -> None:
    admission = Admission()
    admission.add(waiting(1, priority=Priority.HIGH))
    admission.add(waiting(2, "b"))
    admission.add(waiting(3, is_batch=False))
    assert admission.take(lambda job: job.arrival == 2) is None
    asked: list[int] = []
    assert admission.take(lambda job: asked.append(job.arrival) or job.is_batch) == waiting(1, priority=Priority.HIGH)
    assert asked == [3, 1]
    assert len(admission) == 2


def test_a_requeued_job_takes_its_old_place_among_those_of_its_key() -> None:
    admission = Admission()
    for arrival in (1, 2, 3):
        admission.add(waiting(arrival))
    first = admission.take(lambda _: True)
    assert first is not None
    admission.add(first)
    assert take_all(admission) == ["job-1", "job-2", "job-3"]


def test_counts_follow_what_comes_and_goes() -> None:
    admission = Admission()
    admission.add(waiting(1))
    admission.add(waiting(2, "b", is_batch=False))
    assert admission.counts() == {"interactive": 1, "batch": 1}
    assert (len(admission), "job-1" in admission, admission.taken_by_key("a")) == (2, True, 1)
    assert admission.remove("job-1")
    assert not admission.remove("job-1")
    assert (len(admission), "job-1" in admission, admission.taken_by_key("a")) == (1, False, 0)
    assert admission.place("job-1") is None
    assert admission.counts() == {"interactive": 1, "batch": 0}


def test_the_wait_is_told_once_every_task_ahead_has_been_measured() -> None:
    admission = Admission()
    admission.add(waiting(1))
    admission.add(replace(waiting(2), task=TaskName.DESCRIBE))
    admission.add(waiting(3))
    assert admission.place("job-3") == Place(2, None)
    admission.measured(TaskName.UPSCALE, 10.0)
    assert admission.place("job-3") == Place(2, None)
    admission.measured(TaskName.DESCRIBE, 1.0)
    assert admission.place("job-3") == Place(2, pytest.approx(21 * 2 / 3))
    assert admission.place("job-1") == Place(0, 0.0)


def test_a_mean_follows_the_newest_durations() -> None:
    admission = Admission()
    assert admission.mean_s(TaskName.ERASE) is None
    admission.measured(TaskName.ERASE, 1.0)
    assert admission.mean_s(TaskName.ERASE) == 1.0
    for _ in range(50):
        admission.measured(TaskName.ERASE, 3.0)
    assert admission.mean_s(TaskName.ERASE) == pytest.approx(3.0, abs=0.01)


def test_the_first_jobs_of_each_key_are_found_without_looking_at_the_rest() -> None:
    admission = Admission()
    for arrival in range(10):
        admission.add(waiting(arrival, "ab"[arrival % 2]))
    assert [job.arrival for job in admission.first_of_keys({"a": 2, "none": 5})] == [0, 2]


def test_a_hundred_thousand_waiting_jobs_cost_little_more_than_a_thousand() -> None:
    def seconds_of(size: int) -> float:
        admission = Admission()
        for arrival in range(size):
            admission.add(waiting(arrival, f"key-{arrival % 7}"))
        best = float("inf")
        for turn in range(5):
            started_at = time.perf_counter()
            for number in range(200):
                arrival = size + 200 * turn + number
                admission.add(waiting(arrival, "key-3"))
                admission.place(f"job-{size // 2 + number}")
                admission.take(lambda _: True)
                assert admission.remove(f"job-{arrival}")
            best = min(best, time.perf_counter() - started_at)
        return best

    # Linear time would be 100 times as much; a logarithm, and colder caches, are far from 15.
    assert seconds_of(100_000) < 15 * seconds_of(1_000)


def test_a_long_queue_of_another_priority_is_not_counted_with_ours() -> None:
    admission = Admission()
    for number in range(5):
        admission.add(waiting(number, priority=Priority.LOW))
    admission.add(waiting(5))
    assert admission.count_like(waiting(6)) == 1
    assert admission.count_like(waiting(7, priority=Priority.LOW)) == 5
    assert admission.count_like(waiting(8, is_batch=False)) == 0


def test_a_place_is_kept_for_a_job_until_it_waits_or_is_refused() -> None:
    admission = Admission()
    for job_id in ("job-1", "job-2"):
        admission.reserve(job_id, "a")
    assert (len(admission), admission.taken, admission.taken_by_key("a"), admission.taken_by_key("b")) == (0, 2, 2, 0)
    admission.add(waiting(1))
    assert (len(admission), admission.taken, admission.taken_by_key("a")) == (1, 2, 2)
    for _ in range(2):  # the first was added, the second refused
        admission.release("job-1")
        admission.release("job-2")
    assert (len(admission), admission.taken, admission.taken_by_key("a")) == (1, 1, 1)
