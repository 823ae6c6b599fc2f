"""The course of a job: from call to call, also when one of them fails or runs out of memory."""

import threading
from functools import partial

import pytest

from engine.interface import Call, OutOfMemory, Run, RunContext, Steps, Where
from protocol.errors import ErrorCode
from protocol.events import JobFailed, JobStarted, StepFinished
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import Bench, calls, nothing, raises


def test_a_job_starts_steps_and_succeeds_in_that_order(table: Bench) -> None:
    def task(_run: Run, context: RunContext) -> Steps:
        for step in (1, 2, 3):
            yield Call(nothing)
            context.step(step, 3, progress=step / 3)

    table.submit("a", task)
    table.sink.wait_end("a")
    assert table.sink.types("a") == ["job.started", *["step.finished"] * 3, "job.succeeded"]
    assert table.sink.one("a", JobStarted) == JobStarted(worker="local", device="tiny", attempt=1)
    progress = [body.progress for body in table.sink.of("a") if isinstance(body, StepFinished)]
    assert progress == [0.3333, 0.6667, 1.0]


def test_the_attempt_stands_on_everything_a_job_tells(table: Bench) -> None:
    table.submit("a", lambda _run, _context: calls(nothing), attempt=3)
    table.sink.wait_end("a")
    assert {told.attempt for told in table.sink.told} == {3}
    assert table.sink.one("a", JobStarted).attempt == 3


def test_a_job_may_handle_what_its_call_raised(table: Bench) -> None:
    def task(_run: Run, context: RunContext) -> Steps:
        try:
            yield Call(lambda: raises(KeyError("x")))
        except KeyError:
            context.warn("handled", "went on")
        yield Call(nothing)

    table.submit("a", task)
    table.sink.wait_end("a")
    assert table.sink.types("a") == ["job.started", "job.warning", "job.succeeded"]


def test_a_job_that_yields_something_else_than_a_call_fails_alone(table: Bench) -> None:
    def task(_run: Run, _context: RunContext) -> Steps:
        yield None  # type: ignore[misc] # what a careless task might do

    table.submit("bad", task)
    table.submit("good", lambda _run, _context: calls(nothing))
    table.sink.wait_end("bad", "good")
    assert table.sink.types("bad") == ["job.started", "job.failed"]
    assert table.sink.types("good")[-1] == "job.succeeded"


def test_a_call_out_of_memory_frees_caches_and_the_job_goes_on_smaller(table: Bench) -> None:
    sizes: list[int] = []

    def work(size: int) -> None:
        sizes.append(size)
        if size > 2:
            raise MemoryError

    def task(_run: Run, _context: RunContext) -> Steps:
        size = 8
        while True:
            try:
                yield Call(partial(work, size))
                return
            except OutOfMemory:
                size //= 2

    table.submit("a", task)
    table.sink.wait_end("a")
    assert sizes == [8, 4, 2]
    assert table.backend.freed == 2
    assert table.sink.types("a") == ["job.started", "job.succeeded"]


@pytest.mark.parametrize("where", list(Where))
def test_a_job_that_cannot_do_with_less_memory_fails_with_a_clear_code(table: Bench, where: Where) -> None:
    table.submit("a", lambda _run, _context: calls(lambda: raises(MemoryError()), where=where))
    table.submit("b", lambda _run, _context: calls(nothing))
    table.sink.wait_end("a", "b")
    assert table.sink.one("a", JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    assert table.sink.types("b")[-1] == "job.succeeded"


def test_a_job_that_asks_for_the_same_memory_again_and_again_is_stopped(table: Bench) -> None:
    tries: list[int] = []
    cleaned_up = threading.Event()

    def work() -> None:
        tries.append(1)
        raise MemoryError

    def task(_run: Run, _context: RunContext) -> Steps:
        try:
            while True:
                try:
                    yield Call(work)
                except OutOfMemory:
                    continue
        finally:
            cleaned_up.set()

    table.submit("a", task)
    table.sink.wait_end("a")
    assert table.sink.one("a", JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    assert len(tries) == 5
    assert cleaned_up.wait(DEADLINE_S)


def test_a_job_may_run_out_of_memory_at_many_calls_if_each_goes_on_smaller(table: Bench) -> None:
    def work(size: int) -> None:
        if size > 1:
            raise MemoryError

    def task(_run: Run, _context: RunContext) -> Steps:
        for _ in range(10):
            try:
                yield Call(partial(work, 2))
            except OutOfMemory:
                yield Call(partial(work, 1))

    table.submit("a", task)
    table.sink.wait_end("a")
    assert table.sink.types("a") == ["job.started", "job.succeeded"]
    assert table.backend.freed == 10


def test_a_backend_that_cannot_free_its_caches_harms_nobody(table: Bench) -> None:
    table.backend.free_memory = lambda: raises(RuntimeError("no"))  # type: ignore[method-assign]
    table.submit("a", lambda _run, _context: calls(lambda: raises(MemoryError())))
    table.submit("b", lambda _run, _context: calls(nothing))
    table.sink.wait_end("a", "b")
    assert table.sink.one("a", JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    assert table.sink.types("b")[-1] == "job.succeeded"
