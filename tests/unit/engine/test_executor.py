"""What the executor promises whatever runs on it; jobs are generators, and greenlets of the same work."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from engine.executor import ExecutorOptions
from engine.interface import Call, EngineError, EngineStatus, JobClosed, OutOfMemory, Run, RunContext, Steps, Where
from engine.memory import estimate_bytes
from protocol.errors import ErrorCode
from protocol.events import JobCancelled, JobFailed, JobRequeued, JobStarted, JobSucceeded, StepFinished
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import ADAPTERS, Bench, Gate, Task, TinyBackend, bench, calls, make_run, nothing


@pytest.fixture(params=sorted(ADAPTERS))
def backend(request: pytest.FixtureRequest) -> TinyBackend:
    return TinyBackend(ADAPTERS[request.param])


@pytest.fixture
def table(backend: TinyBackend) -> Iterator[Bench]:
    with bench(backend) as made:
        yield made


class Log:
    """Tasks that write down, call by call, who was on the device."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def task(self, name: str, count: int) -> Task:
        def run(_run: Run, _context: RunContext) -> Steps:
            return calls(*[lambda: self.lines.append(name)] * count)

        return run


# ---- the ordinary course ---------------------------------------------------------------------------------------


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


def test_a_job_gets_the_results_of_its_calls_from_the_device_and_from_the_pool(table: Bench) -> None:
    got: list[object] = []

    def task(_run: Run, _context: RunContext) -> Steps:
        got.append((yield Call(threading.current_thread)))
        got.append((yield Call(threading.current_thread, where=Where.POOL)))
        got.append(threading.current_thread())

    table.submit("a", task)
    table.sink.wait_end("a")
    on_device, in_pool, itself = got
    assert on_device is itself
    assert in_pool is not on_device


def test_the_time_of_each_stage_is_told_at_the_end(table: Bench) -> None:
    def task(_run: Run, _context: RunContext) -> Steps:
        yield Call(nothing, stage="draw")
        yield Call(nothing, stage="draw")
        yield Call(nothing, stage="read", where=Where.POOL)

    table.submit("a", task)
    table.sink.wait_end("a")
    assert set(table.sink.one("a", JobSucceeded).timings) == {"draw", "read"}


def test_the_attempt_stands_on_everything_a_job_tells(table: Bench) -> None:
    table.submit("a", lambda _run, _context: calls(nothing), attempt=3)
    table.sink.wait_end("a")
    assert {told.attempt for told in table.sink.told} == {3}
    assert table.sink.one("a", JobStarted).attempt == 3


# ---- who goes next ---------------------------------------------------------------------------------------------


def test_interactive_work_goes_first_then_priority_then_turn(table: Bench) -> None:
    log = Log()
    gate = table.hold_device()
    table.submit("low", log.task("low", 2), priority=2)
    table.submit("high", log.task("high", 2), priority=0)
    table.submit("normal-1", log.task("normal-1", 2))
    table.submit("normal-2", log.task("normal-2", 2))
    table.submit("click", log.task("click", 2), is_batch=False, priority=2)
    gate.open()
    table.sink.wait_end("low", "high", "normal-1", "normal-2", "click")
    assert log.lines == [name for name in ("click", "high", "normal-1", "normal-2", "low") for _ in range(2)]


def test_a_short_job_does_not_wait_for_the_long_one_of_another_key(table: Bench) -> None:
    log, never = Log(), threading.Event()

    def long(_run: Run, _context: RunContext) -> Steps:
        for _ in range(50):
            yield Call(lambda: never.wait(0.002))  # holds the device, as a tile would
            log.lines.append("long")

    gate = table.hold_device()
    table.submit("long", long, share="one key")
    table.submit("short", log.task("short", 2), share="another key")
    gate.open()
    table.sink.wait_end("long")
    assert "short" in log.lines
    assert "short" not in log.lines[10:]


def test_jobs_of_one_key_run_in_the_order_they_came(table: Bench) -> None:
    log = Log()
    gate = table.hold_device()
    table.submit("first", log.task("first", 5), share="one key")
    table.submit("second", log.task("second", 5), share="one key")
    gate.open()
    table.sink.wait_end("second")
    assert log.lines == ["first"] * 5 + ["second"] * 5


def test_urgent_work_overtakes_between_two_calls_of_a_running_job(table: Bench) -> None:
    log, gate = Log(), Gate()

    def slow(_run: Run, _context: RunContext) -> Steps:
        yield Call(gate)
        for _ in range(3):
            yield Call(lambda: log.lines.append("slow"))

    table.submit("slow", slow)
    gate.wait_entered()
    table.submit("click", log.task("click", 2), is_batch=False)
    gate.open()
    table.sink.wait_end("slow", "click")
    assert log.lines == ["click", "click", "slow", "slow", "slow"]


def test_batch_work_waits_for_interactive_work_that_is_in_the_pool(table: Bench) -> None:
    log, gate, filled = Log(), Gate(), Gate()

    def click(_run: Run, _context: RunContext) -> Steps:
        yield Call(lambda: log.lines.append("read"), where=Where.POOL)
        yield Call(filled, where=Where.POOL)
        yield Call(lambda: log.lines.append("click"), where=Where.POOL)

    def slow(_run: Run, _context: RunContext) -> Steps:
        yield Call(gate)
        yield Call(lambda: log.lines.append("slow"))

    table.submit("slow", slow)
    gate.wait_entered()
    table.submit("click", click, is_batch=False)
    gate.open()
    filled.wait_entered()
    filled.open()
    table.sink.wait_end("slow", "click")
    assert log.lines == ["read", "click", "slow"]


def test_the_device_does_not_wait_for_ever_for_a_job_that_is_in_the_pool() -> None:
    gate = Gate()
    with bench(most_hold_s=0.05) as table:
        table.submit("reader", lambda _run, _context: calls(gate, where=Where.POOL), is_batch=False)
        gate.wait_entered()
        table.submit("worker", lambda _run, _context: calls(nothing, nothing))
        table.sink.wait_end("worker")
        assert not table.sink.has_ended("reader")
        gate.open()
        table.sink.wait_end("reader")


def test_the_device_does_not_wait_for_batch_work_that_is_in_the_pool(table: Bench) -> None:
    gate = Gate()
    table.submit("reader", lambda _run, _context: calls(gate, where=Where.POOL))
    gate.wait_entered()
    table.submit("worker", lambda _run, _context: calls(nothing, nothing))
    table.sink.wait_end("worker")
    assert not table.sink.has_ended("reader")
    gate.open()
    table.sink.wait_end("reader")


def test_each_thread_of_the_pool_is_prepared_once_before_its_first_work(table: Bench) -> None:
    names: list[str] = []

    def task(_run: Run, _context: RunContext) -> Steps:
        for _ in range(20):
            name = yield Call(lambda: threading.current_thread().name, where=Where.POOL)
            names.append(name)

    table.submit("a", task)
    table.sink.wait_end("a")
    assert set(names) <= set(table.backend.prepared)
    assert len(set(table.backend.prepared)) == len(table.backend.prepared)


# ---- cancelling ------------------------------------------------------------------------------------------------


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


# ---- failing ---------------------------------------------------------------------------------------------------


def raises(error: BaseException) -> None:
    raise error


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


# ---- memory ----------------------------------------------------------------------------------------------------


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


def test_live_jobs_are_limited_for_each_class(backend: TinyBackend) -> None:
    with bench(backend, max_live_jobs=2) as table:
        gate = table.hold_device(is_batch=True)
        assert table.executor.has_room(make_run("x", is_batch=True))
        table.submit("a", lambda _run, _context: calls(nothing))
        assert not table.executor.has_room(make_run("x", is_batch=True))
        assert table.executor.has_room(make_run("x", is_batch=False))
        gate.open()
        table.wait_state(lambda state: state.live_jobs == 0, "empty")
        assert table.executor.has_room(make_run("x", is_batch=True))


def test_batch_work_leaves_a_part_of_the_memory_to_interactive_work(backend: TinyBackend) -> None:
    one = estimate_bytes(make_run("x").task, make_run("x").params, 0)
    with bench(backend, budget_bytes=4 * one) as table:
        gate = table.hold_device(is_batch=True)
        table.submit("a", lambda _run, _context: calls(nothing))
        assert table.executor.has_room(make_run("x", is_batch=True))
        table.submit("b", lambda _run, _context: calls(nothing))
        assert not table.executor.has_room(make_run("x", is_batch=True))
        assert table.executor.has_room(make_run("x", is_batch=False))
        table.submit("c", lambda _run, _context: calls(nothing), is_batch=False)
        assert not table.executor.has_room(make_run("x", is_batch=False))
        assert table.executor.state().live_bytes == 4 * one
        gate.open()
        table.wait_state(lambda state: state.live_bytes == 0, "empty")


@pytest.mark.parametrize("is_batch", [True, False])
def test_one_job_of_each_class_fits_however_large_it_is(backend: TinyBackend, is_batch: bool) -> None:
    with bench(backend, budget_bytes=1) as table:
        assert table.executor.has_room(make_run("x", is_batch=is_batch))
        gate = table.hold_device(is_batch=is_batch)
        assert not table.executor.has_room(make_run("x", is_batch=is_batch))
        assert table.executor.has_room(make_run("x", is_batch=not is_batch))
        gate.open()


# ---- loading and stopping --------------------------------------------------------------------------------------


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
