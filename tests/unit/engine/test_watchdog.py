"""Calls that outlive their deadline, seen from the executor that runs them."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.interface import Call, OutOfMemory, Run, RunContext, Steps, Where
from engine.interface.engine import EngineStatus
from engine.watchdog import Watchdog, Watched
from protocol.errors import ErrorCode
from protocol.events import JobFailed
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import ADAPTERS, Bench, Gate, TinyBackend, bench, calls, make_run, nothing, raises

LIMIT_S = 0.02


@pytest.fixture(params=sorted(ADAPTERS))
def table(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with bench(TinyBackend(ADAPTERS[request.param]), call_deadline_s=LIMIT_S, pool_threads=1) as made:
        yield made


def test_a_late_device_call_fails_its_job_and_the_engine_says_that_it_is_stuck(table: Bench) -> None:
    gate = Gate()
    before = table.changes
    table.submit("late", lambda _run, _context: calls(gate))
    table.sink.wait_end("late")
    failure = table.sink.one("late", JobFailed).error
    assert failure.code is ErrorCode.STEP_TIMEOUT
    assert failure.message == "step: expected to take at most 0.02 s, and is still running"
    table.wait_state(lambda state: state.status is EngineStatus.STUCK, "stuck")
    assert "step" in table.executor.state().detail
    assert not table.executor.has_room(make_run("x"))
    assert table.changes > before
    gate.open()


def test_an_engine_whose_late_call_comes_back_goes_on(table: Bench) -> None:
    gate = Gate()
    cleaned_up, resumed = threading.Event(), threading.Event()

    def task(_run: Run, context: RunContext) -> Steps:
        try:
            yield Call(gate)
            resumed.set()
            context.step(1, 1, progress=1)
        finally:
            cleaned_up.set()

    table.submit("late", task)
    table.wait_state(lambda state: state.status is EngineStatus.STUCK, "stuck")
    table.submit("next", lambda _run, _context: calls(nothing))
    assert not table.sink.types("next")
    gate.open()
    table.wait_state(lambda state: state.status is EngineStatus.READY, "ready again")
    table.sink.wait_end("next")
    table.wait_state(lambda state: state.live_jobs == 0, "empty")
    assert table.sink.types("late") == ["job.started", "job.failed"]
    assert cleaned_up.is_set()
    assert not resumed.is_set()
    assert table.executor.state().detail == ""
    assert table.executor.has_room(make_run("x"))


def test_a_late_pool_call_fails_its_job_at_once_and_leaves_the_engine_ready(table: Bench) -> None:
    gate, cleaned_up = Gate(), threading.Event()

    def task(_run: Run, _context: RunContext) -> Steps:
        try:
            yield Call(gate, where=Where.POOL, stage="read")
        finally:
            cleaned_up.set()

    table.submit("late", task)
    table.sink.wait_end("late")
    assert table.sink.one("late", JobFailed).error.message.startswith("read: ")
    table.wait_state(lambda state: state.live_jobs == 0, "empty")
    assert table.executor.state().status is EngineStatus.READY
    assert cleaned_up.is_set()
    gate.open()


@pytest.mark.parametrize("is_batch", [True, False])
def test_the_pool_serves_on_after_a_late_call(table: Bench, is_batch: bool) -> None:
    gates = [Gate() for _ in range(4)]  # more than the pool has threads
    for number, gate in enumerate(gates):
        table.submit(f"late-{number}", lambda _run, _context, gate=gate: calls(gate, where=Where.POOL), is_batch=False)
    table.sink.wait_end(*(f"late-{number}" for number in range(4)))
    table.submit("next", lambda _run, _context: calls(nothing, where=Where.POOL), is_batch=is_batch)
    table.sink.wait_end("next")
    assert table.sink.types("next")[-1] == "job.succeeded"
    for gate in gates:
        gate.open()


def test_a_pool_call_that_hangs_after_its_job_was_cancelled_holds_up_nobody(table: Bench) -> None:
    gates = [Gate() for _ in range(2)]
    for number, gate in enumerate(gates):
        table.submit(f"a{number}", lambda _run, _context, gate=gate: calls(gate, where=Where.POOL), is_batch=False)
        gate.wait_entered()
        table.executor.cancel(f"a{number}", "")
        table.sink.wait_end(f"a{number}")
    table.submit("next", lambda _run, _context: calls(nothing, where=Where.POOL))
    table.sink.wait_end("next")
    assert table.sink.types("next")[-1] == "job.succeeded"
    for number, gate in enumerate(gates):
        gate.open()
        assert len(table.sink.types(f"a{number}")) == 2


def test_the_deadline_of_a_pool_call_does_not_run_while_it_waits_for_a_thread(table: Bench) -> None:
    def patient(_run: Run, _context: RunContext) -> Steps:
        yield Call(gate, where=Where.POOL, deadline_s=DEADLINE_S)

    gate = Gate()
    table.submit("first", patient)
    gate.wait_entered()
    table.submit("second", lambda _run, _context: calls(nothing, where=Where.POOL))
    # The watchdog has looked again when it has failed something else.
    late = Gate()
    table.submit("late", lambda _run, _context: calls(late, where=Where.POOL), is_batch=False)
    table.sink.wait_end("late")
    assert not table.sink.has_ended("second")
    gate.open()
    late.open()
    table.sink.wait_end("first", "second")
    assert table.sink.types("second")[-1] == "job.succeeded"


def test_a_call_may_bring_a_deadline_of_its_own(table: Bench) -> None:
    gate, late = Gate(), Gate()

    def task(_run: Run, _context: RunContext) -> Steps:
        yield Call(gate, deadline_s=DEADLINE_S)

    table.submit("slow", task)
    gate.wait_entered()
    with bench(call_deadline_s=LIMIT_S) as other:  # shows that the ordinary deadline has passed
        other.submit("late", lambda _run, _context: calls(late))
        other.sink.wait_end("late")
        late.open()
    assert table.executor.state().status is EngineStatus.READY
    gate.open()
    table.sink.wait_end("slow")
    assert table.sink.types("slow")[-1] == "job.succeeded"


def test_a_call_that_has_come_back_is_never_reported() -> None:
    reported: list[str] = []
    some = threading.Event()

    def report(watched: Watched[str]) -> None:
        reported.append(watched.owner)
        some.set()

    watchdog: Watchdog[str] = Watchdog(report)
    back = watchdog.begin("back", "step", 0)
    assert watchdog.end(back) is False
    late = watchdog.begin("late", "step", 0)
    patient = watchdog.begin("patient", "step", 3600)
    watchdog.start()
    assert some.wait(DEADLINE_S)
    some.clear()
    second = watchdog.begin("second", "step", 0)
    assert some.wait(DEADLINE_S)
    watchdog.stop()
    assert [watchdog.end(late), watchdog.end(second), watchdog.end(patient)] == [True, True, False]
    assert reported == ["late", "second"]


def test_a_call_cannot_come_back_while_it_is_being_reported() -> None:
    reporting, finish, ended = threading.Event(), threading.Event(), threading.Event()

    def report(_watched: Watched[str]) -> None:
        reporting.set()
        assert finish.wait(DEADLINE_S)

    watchdog: Watchdog[str] = Watchdog(report)
    late = watchdog.begin("late", "step", 0)
    watchdog.start()
    assert reporting.wait(DEADLINE_S)
    ending = threading.Thread(target=lambda: (watchdog.end(late), ended.set()))
    ending.start()
    assert not ended.wait(0.05)
    finish.set()
    assert ended.wait(DEADLINE_S)
    watchdog.stop()


def test_of_cancel_and_deadline_one_ends_the_job(table: Bench) -> None:
    """Many jobs whose cancel falls together with their deadline: each has one end."""
    gates = {f"job-{number}": Gate() for number in range(12)}
    for name, gate in gates.items():
        table.submit(name, lambda _run, _context, gate=gate: calls(gate, where=Where.POOL), is_batch=False)

    def cancel_all() -> None:
        for name in gates:
            table.executor.cancel(name, "")

    table.sink.wait(lambda: any(table.sink.has_ended(name) for name in gates), "a first deadline")
    cancel_all()
    for gate in gates.values():
        gate.open()
    table.sink.wait_end(*gates)
    table.wait_state(lambda state: state.live_jobs == 0, "empty")
    for name in gates:
        assert len(table.sink.types(name)) == 2, table.sink.types(name)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_at_once_each_job_ends_once_and_nothing_follows(table: Bench, seed: int) -> None:
    """Ordinary, failing, greedy and late calls on the device and in the pool, while jobs are cancelled."""
    chance = random.Random(seed)
    works: list[Callable[[], None]] = [
        nothing,
        lambda: raises(ValueError("bad")),
        lambda: raises(MemoryError()),
        lambda: time.sleep(0.002),  # a call that does some work
        lambda: time.sleep(0.15),  # later than its deadline, and seen by the watchdog
    ]

    def task(_run: Run, context: RunContext) -> Steps:
        for step in range(3):
            (work,) = chance.choices(works, [10, 1, 1, 10, 1])
            with contextlib.suppress(OutOfMemory):
                yield Call(work, where=chance.choice(list(Where)))
            context.step(step + 1, 3, progress=(step + 1) / 3)

    names = [f"job-{number}" for number in range(60)]
    for name in names:
        table.submit(name, task, is_batch=chance.random() < 0.5)
        if chance.random() < 0.3:
            table.executor.cancel(chance.choice(names), "")
    table.sink.wait_end(*names)
    table.wait_state(lambda state: state.live_jobs == 0, "empty")
    table.wait_state(lambda state: state.status is EngineStatus.READY, "ready")
    for name in names:
        types = table.sink.types(name)
        assert types[0] == "job.started"
        assert [kind for kind in types if kind in {"job.succeeded", "job.failed", "job.cancelled"}] == types[-1:]
    assert {table.sink.types(name)[-1] for name in names} == {"job.succeeded", "job.failed", "job.cancelled"}
    assert table.executor.state().live_bytes == 0
