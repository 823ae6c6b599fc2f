"""What the executor promises of its thread: loading, stopping, and breaking."""

import threading

from engine.executor import ExecutorOptions
from engine.interface import Call, Run, RunContext, Steps
from engine.interface.engine import EngineStatus
from protocol.events import JobRequeued
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import Bench, Gate, TinyBackend, bench, calls, make_run, nothing, raises


def test_an_engine_that_breaks_says_so_and_hands_its_jobs_back(backend: TinyBackend) -> None:
    def broken(_error: Exception) -> bool:
        raise RuntimeError("driver lost")

    backend.is_out_of_memory = broken  # type: ignore[method-assign]
    with bench(backend) as table:
        table.submit("a", lambda _run, _context: calls(lambda: raises(ValueError("x"))))
        table.sink.wait_end("a")
        table.wait_state(lambda state: state.status is EngineStatus.FAILED, "failed")
        assert "driver lost" in table.executor.state().detail
        assert not table.executor.has_room(make_run("b"))


def test_there_is_no_room_before_the_backend_is_loaded(backend: TinyBackend) -> None:
    backend.load_gate = Gate()
    table = Bench(backend, ExecutorOptions())
    table.start()
    backend.load_gate.wait_entered()
    assert table.executor.state().status is EngineStatus.LOADING
    assert not table.executor.has_room(make_run("a"))
    backend.load_gate.open()
    table.wait_state(lambda state: state.status is EngineStatus.READY, "ready")
    assert table.executor.has_room(make_run("a"))
    assert table.executor.stop(DEADLINE_S)


def test_an_engine_that_cannot_be_loaded_says_why_and_can_be_stopped(backend: TinyBackend) -> None:
    backend.load_error = RuntimeError("no driver")
    backend.load_gate = Gate()
    table = Bench(backend, ExecutorOptions())
    table.start()
    backend.load_gate.open()
    assert table.executor.stop(DEADLINE_S)
    state = table.executor.state()
    assert state.status is EngineStatus.FAILED
    assert "no driver" in state.detail
    assert not table.executor.has_room(make_run("a"))


def test_stopping_hands_live_and_just_submitted_jobs_back(backend: TinyBackend) -> None:
    cleaned_up = threading.Event()
    gate = Gate()

    def task(_run: Run, _context: RunContext) -> Steps:
        try:
            yield Call(gate)
            yield Call(nothing)
        finally:
            cleaned_up.set()

    table = Bench(backend, ExecutorOptions())
    table.start()
    table.submit("live", task, attempt=2)
    gate.wait_entered()
    stopping = threading.Thread(target=lambda: table.executor.stop(DEADLINE_S))
    stopping.start()

    def submit_another(_run: Run, _context: RunContext) -> Steps:
        table.submit("newer", lambda _run, _context: calls(nothing))
        return calls(nothing)

    table.submit("new", submit_another)
    gate.open()
    stopping.join(DEADLINE_S)
    assert table.sink.types("live") == ["job.started", "job.requeued"]
    assert table.sink.one("live", JobRequeued) == JobRequeued(attempt=3, reason="shutdown")
    assert table.sink.types("new") == ["job.started", "job.requeued"]
    assert table.sink.types("newer") == ["job.started", "job.requeued"]
    assert cleaned_up.is_set()
    assert backend.closed
    state = table.executor.state()
    assert (state.status, state.live_jobs, state.live_bytes) == (EngineStatus.STOPPED, 0, 0)
    assert not table.executor.has_room(make_run("x"))


def test_stopping_waits_no_longer_than_it_was_told_and_still_hands_back_what_ran(backend: TinyBackend) -> None:
    gate = Gate()
    table = Bench(backend, ExecutorOptions())
    table.start()
    table.submit("stuck", lambda _run, context: told_after(gate, context))
    gate.wait_entered()
    table.submit("waiting", lambda _run, _context: calls(nothing), is_batch=False)
    assert not table.executor.stop(0.05)
    assert table.sink.types("stuck") == ["job.started", "job.requeued"]
    assert table.sink.types("waiting") == []
    assert not table.executor.has_room(make_run("x"))
    gate.open()
    assert table.executor.stop(DEADLINE_S)
    assert table.sink.types("stuck") == ["job.started", "job.requeued"]


def test_stopping_an_engine_that_never_started_is_no_error() -> None:
    assert Bench(TinyBackend(), ExecutorOptions()).executor.stop(0)


def told_after(gate: Gate, context: RunContext) -> Steps:
    yield Call(gate)
    context.step(1, 1, progress=1)
