"""How jobs end that are cancelled or that fail, and that they end alone."""

import threading

import pytest

from engine.interface import Call, EngineError, JobClosed, Run, RunContext, Steps, Where
from protocol.errors import ErrorCode
from protocol.events import JobCancelled, JobFailed
from tests.unit.engine.workbench import Bench, Gate, calls, nothing, raises


def test_a_cancel_lands_within_the_call_that_is_running(table: Bench) -> None:
    gate, later = Gate(), Gate()
    table.submit("a", lambda _run, _context: calls(gate, later))
    gate.wait_entered()
    table.executor.cancel("a", "not wanted")
    gate.open()
    table.sink.wait_end("a")
    assert table.sink.one("a", JobCancelled).reason == "not wanted"
    assert not later.is_entered


def test_cancelling_one_job_leaves_the_others_alone(table: Bench) -> None:
    gate = table.hold_device()
    for name in "abc":
        table.submit(name, lambda _run, _context: calls(nothing, nothing))
    table.executor.cancel("b", "")
    gate.open()
    table.sink.wait_end("a", "b", "c")
    assert [table.sink.types(name)[-1] for name in "abc"] == ["job.succeeded", "job.cancelled", "job.succeeded"]


def test_cancelling_a_job_nobody_knows_does_nothing(table: Bench) -> None:
    table.executor.cancel("nobody", "")
    table.submit("a", lambda _run, _context: calls(nothing))
    table.sink.wait_end("a")
    table.executor.cancel("a", "")
    table.submit("b", lambda _run, _context: calls(nothing))
    table.sink.wait_end("b")
    assert table.sink.types("a") == ["job.started", "job.succeeded"]


def test_a_job_cancelled_in_the_pool_ends_at_once_and_its_late_result_is_dropped(table: Bench) -> None:
    gate, resumed = Gate(), threading.Event()

    def task(_run: Run, _context: RunContext) -> Steps:
        yield Call(gate, where=Where.POOL)
        resumed.set()

    table.submit("a", task)
    gate.wait_entered()
    table.executor.cancel("a", "")
    table.sink.wait_end("a")
    gate.open()
    for name in ("b", "c", "d"):  # enough for every pool thread to have come round
        table.submit(name, lambda _run, _context: calls(nothing, where=Where.POOL))
    table.sink.wait_end("b", "c", "d")
    assert table.sink.types("a") == ["job.started", "job.cancelled"]
    assert not resumed.is_set()


def test_a_cancelled_job_cleans_up_before_the_next_call_runs(table: Bench) -> None:
    lines: list[str] = []
    gate = Gate()

    def task(_run: Run, _context: RunContext) -> Steps:
        try:
            yield Call(gate)
            yield Call(nothing)
        finally:
            lines.append("cleaned up")

    table.submit("a", task)
    gate.wait_entered()
    table.submit("b", lambda _run, _context: calls(lambda: lines.append("b")))
    table.executor.cancel("a", "")
    gate.open()
    table.sink.wait_end("a", "b")
    assert lines == ["cleaned up", "b"]


def test_what_a_job_tells_while_it_is_closed_is_not_heard(table: Bench) -> None:
    gate = Gate()

    def task(_run: Run, context: RunContext) -> Steps:
        try:
            yield Call(gate)
            yield Call(nothing)
        finally:
            context.step(1, 1, progress=1)

    table.submit("a", task)
    gate.wait_entered()
    table.executor.cancel("a", "")
    gate.open()
    table.sink.wait_end("a")
    table.wait_state(lambda state: state.live_jobs == 0, "empty")
    assert table.sink.types("a") == ["job.started", "job.cancelled"]


def test_a_job_that_swallows_its_closing_is_ended_all_the_same(table: Bench) -> None:
    gate = Gate()

    def task(_run: Run, context: RunContext) -> Steps:
        try:
            yield Call(gate)
            yield Call(nothing)
        except JobClosed:
            context.step(1, 1, progress=1)

    table.submit("a", task)
    gate.wait_entered()
    table.executor.cancel("a", "")
    gate.open()
    table.sink.wait_end("a")
    table.submit("b", lambda _run, _context: calls(nothing))
    table.sink.wait_end("b")
    assert table.sink.types("a") == ["job.started", "job.cancelled"]
    table.wait_state(lambda state: state.live_jobs == 0, "empty")


@pytest.mark.parametrize("where", list(Where))
@pytest.mark.parametrize("error", [ValueError("no such layer"), SystemExit(3), JobClosed()], ids=repr)
def test_a_job_whose_call_raises_fails_alone(table: Bench, where: Where, error: BaseException) -> None:
    gate = table.hold_device()
    table.submit("bad", lambda _run, _context: calls(lambda: raises(error), where=where))
    table.submit("good", lambda _run, _context: calls(nothing, nothing))
    gate.open()
    table.sink.wait_end("bad", "good")
    assert table.sink.types("good")[-1] == "job.succeeded"
    failure = table.sink.one("bad", JobFailed).error
    assert failure.code is ErrorCode.STEP_FAILED
    assert failure.message == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("error", [ValueError("bad size"), SystemExit(3), JobClosed()], ids=repr)
def test_a_job_that_raises_itself_fails_alone(table: Bench, error: BaseException) -> None:
    def task(_run: Run, _context: RunContext) -> Steps:
        yield Call(nothing)
        raise error

    table.submit("bad", task)
    table.submit("good", lambda _run, _context: calls(nothing, nothing))
    table.sink.wait_end("bad", "good")
    assert table.sink.types("bad") == ["job.started", "job.failed"]
    assert table.sink.types("good")[-1] == "job.succeeded"
    table.wait_state(lambda state: state.live_jobs == 0, "empty")


def test_a_job_that_cannot_be_opened_fails_alone(table: Bench) -> None:
    def task(_run: Run, _context: RunContext) -> Steps:
        raise EngineError(ErrorCode.MODEL_MISSING, "run safelight models pull")

    table.submit("bad", task)
    table.submit("good", lambda _run, _context: calls(nothing))
    table.sink.wait_end("bad", "good")
    failure = table.sink.one("bad", JobFailed).error
    assert (failure.code, failure.message) == (ErrorCode.MODEL_MISSING, "run safelight models pull")
    assert table.sink.types("good")[-1] == "job.succeeded"
    table.wait_state(lambda state: state.live_jobs == 0, "empty")


@pytest.mark.parametrize("error", [ValueError("in clean-up"), SystemExit(1)], ids=repr)
def test_a_job_whose_clean_up_raises_harms_nobody(table: Bench, error: BaseException) -> None:
    gate = Gate()

    def task(_run: Run, _context: RunContext) -> Steps:
        try:
            yield Call(gate)
            yield Call(nothing)
        finally:
            raise error

    table.submit("bad", task)
    gate.wait_entered()
    table.submit("good", lambda _run, _context: calls(nothing))
    table.executor.cancel("bad", "")
    gate.open()
    table.sink.wait_end("bad", "good")
    assert table.sink.types("bad") == ["job.started", "job.cancelled"]
    assert table.sink.types("good")[-1] == "job.succeeded"
