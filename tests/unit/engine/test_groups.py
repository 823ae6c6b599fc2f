"""Calls of several jobs run as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from engine.interface import Call, Run, RunContext, Steps
from protocol.errors import ErrorCode
from protocol.events import JobFailed
from tests.unit.engine.workbench import ADAPTERS, Bench, Gate, Task, TinyBackend, bench


@dataclass(eq=False)
class Doubling:
    """Doubles numbers together, and remembers which."""

    limit: int = 8
    runs: list[list[object]] = field(default_factory=list)
    alone: list[object] = field(default_factory=list)
    short: bool = False

    def run(self, payloads: Sequence[object]) -> Sequence[object]:
        self.runs.append(list(payloads))
        if self.short:
            return []
        return [self.double(payload) for payload in payloads]

    def double(self, payload: object) -> int:
        assert isinstance(payload, int)
        if payload < 0:
            raise ValueError(f"{payload} is negative")
        if payload > 1000:
            raise MemoryError
        return payload * 2

    def call(self, number: int) -> Call:
        def by_itself() -> int:
            self.alone.append(number)
            return self.double(number)

        return Call(by_itself, group=self, payload=number)


@pytest.fixture(params=sorted(ADAPTERS))
def table(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench(TinyBackend(ADAPTERS[request.param]), max_live_jobs=20) as made:
        yield made


def doubling(group: Doubling, number: int, count: int, got: list[object]) -> Task:
    def task(_run: Run, _context: RunContext) -> Steps:
        for _ in range(count):
            result = yield group.call(number)
            got.append(result)

    return task


def test_calls_of_one_group_run_as_one_and_each_job_gets_its_own_result(table: Bench) -> None:
    group, got = Doubling(), {number: [] for number in (1, 2, 3)}
    gate = table.hold_device()
    for number, results in got.items():
        table.submit(f"job-{number}", doubling(group, number, 2, results))
    gate.open()
    table.sink.wait_end(*(f"job-{number}" for number in got))
    assert group.runs == [[1, 2, 3], [1, 2, 3]]
    assert group.alone == []
    assert got == {1: [2, 2], 2: [4, 4], 3: [6, 6]}


def test_jobs_join_and_leave_a_group_at_any_step(table: Bench) -> None:
    group = Doubling()
    gate = table.hold_device()
    for number, count in ((1, 1), (2, 3), (3, 2)):
        table.submit(f"job-{number}", doubling(group, number, count, []))
    gate.open()
    table.sink.wait_end("job-1", "job-2", "job-3")
    assert group.runs == [[1, 2, 3], [2, 3]]
    assert group.alone == [2]


def test_a_group_takes_no_more_than_its_limit_most_urgent_first(table: Bench) -> None:
    group = Doubling(limit=2)
    gate = table.hold_device()
    for number, priority in ((1, 2), (2, 1), (3, 0), (4, 1)):
        table.submit(f"job-{number}", doubling(group, number, 1, []), priority=priority)
    gate.open()
    table.sink.wait_end(*(f"job-{number}" for number in (1, 2, 3, 4)))
    assert group.runs == [[3, 2], [4, 1]]


def test_calls_of_different_groups_do_not_mix(table: Bench) -> None:
    first, second = Doubling(), Doubling()
    gate = table.hold_device()
    for number, group in enumerate((first, second, first, second)):
        table.submit(f"job-{number}", doubling(group, number, 1, []))
    gate.open()
    table.sink.wait_end(*(f"job-{number}" for number in range(4)))
    assert (first.runs, second.runs) == ([[0, 2]], [[1, 3]])


def test_the_one_that_spoils_a_group_fails_alone(table: Bench) -> None:
    group, got = Doubling(), {1: [], -2: [], 3: []}
    gate = table.hold_device()
    for number, results in got.items():
        table.submit(f"job-{number}", doubling(group, number, 2, results))
    gate.open()
    table.sink.wait_end(*(f"job-{number}" for number in got))
    assert table.sink.one("job--2", JobFailed).error.message == "ValueError: -2 is negative"
    assert got == {1: [2, 2], -2: [], 3: [6, 6]}
    assert group.runs == [[1, -2, 3]]
    assert group.alone == [1, 1, -2, 3, 3]
    assert table.backend.freed == 0


def test_a_job_whose_group_failed_joins_again_with_its_next_call(table: Bench) -> None:
    group = Doubling(limit=2)
    gate = table.hold_device()
    for number, count in ((-2, 1), (1, 2), (5, 1)):
        table.submit(f"job-{number}", doubling(group, number, count, []))
    gate.open()
    table.sink.wait_end("job--2", "job-1", "job-5")
    assert (group.runs, group.alone) == ([[-2, 1], [1, 5]], [-2, 1])


def test_a_group_out_of_memory_runs_one_by_one(table: Bench) -> None:
    group, got = Doubling(), {1: [], 2000: []}
    gate = table.hold_device()
    for number, results in got.items():
        table.submit(f"job-{number}", doubling(group, number, 1, results))
    gate.open()
    table.sink.wait_end("job-1", "job-2000")
    assert got == {1: [2], 2000: []}
    assert table.sink.one("job-2000", JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    assert table.backend.freed > 0


def test_a_group_that_gives_too_few_results_runs_one_by_one(table: Bench) -> None:
    group, got = Doubling(short=True), {1: [], 2: []}
    gate = table.hold_device()
    for number, results in got.items():
        table.submit(f"job-{number}", doubling(group, number, 1, results))
    gate.open()
    table.sink.wait_end("job-1", "job-2")
    assert got == {1: [2], 2: [4]}


def test_a_cancel_lands_between_the_calls_of_a_group_that_failed(table: Bench) -> None:
    group = Doubling()
    inside, got = Gate(), []

    def slow(_run: Run, _context: RunContext) -> Steps:
        yield Call(inside, group=group, payload=-1)

    gate = table.hold_device()
    table.submit("slow", slow)
    table.submit("other", doubling(group, 1, 1, got))
    gate.open()
    inside.wait_entered()  # the group has failed, and the first runs by itself
    table.executor.cancel("other", "")
    inside.open()
    table.sink.wait_end("slow", "other")
    assert table.sink.types("other") == ["job.started", "job.cancelled"]
    assert got == []
