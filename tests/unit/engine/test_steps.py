import gc
import threading
from collections.abc import Generator
from typing import Any

import pytest

from engine.interface import DONE, Call, Done, JobClosed, OutOfMemory, Steps, Where
from engine.steps import GeneratorJob, GreenletJob, SettledJob, await_call, await_steps, blocking, twice
from tests.unit.engine.workbench import ADAPTERS, Adapter, nothing

CALLS = [Call(nothing), Call(nothing), Call(nothing)]


@pytest.fixture(params=sorted(ADAPTERS))
def adapt(request: pytest.FixtureRequest) -> Adapter:
    return ADAPTERS[request.param]


def test_a_job_is_suspended_at_each_call_and_sent_its_result(adapt: Adapter) -> None:
    got: list[object] = []

    def steps() -> Steps:
        for call in CALLS:
            result = yield call
            got.append(result)

    job = adapt(steps())
    assert job.resume() is CALLS[0]
    assert job.resume(1) is CALLS[1]
    assert got == [1]
    assert job.resume(2) is CALLS[2]
    assert job.resume(3) is DONE
    assert got == [1, 2, 3]


def test_nothing_of_a_job_runs_before_it_is_first_resumed(adapt: Adapter) -> None:
    began: list[int] = []

    def steps() -> Steps:
        began.append(1)
        yield CALLS[0]

    job = adapt(steps())
    assert began == []
    job.resume()
    assert began == [1]


def test_an_error_is_raised_where_the_job_waits(adapt: Adapter) -> None:
    def steps() -> Steps:
        try:
            yield CALLS[0]
        except ValueError:
            yield CALLS[1]

    job = adapt(steps())
    job.resume()
    assert job.resume(error=ValueError("torn")) is CALLS[1]
    assert job.resume() is DONE


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(2), JobClosed()], ids=repr)
def test_what_a_job_raises_reaches_whoever_resumes_it(adapt: Adapter, error: BaseException) -> None:
    def steps() -> Steps:
        yield CALLS[0]
        raise error

    job = adapt(steps())
    job.resume()
    with pytest.raises(type(error)):
        job.resume()


def test_a_closed_job_cleans_up_and_lets_the_closing_through(adapt: Adapter) -> None:
    cleaned_up: list[int] = []

    def steps() -> Steps:
        try:
            yield CALLS[0]
        except Exception:  # noqa: BLE001 - a job that swallows every ordinary exception
            cleaned_up.append(-1)
        finally:
            cleaned_up.append(1)

    job = adapt(steps())
    job.resume()
    with pytest.raises(JobClosed):
        job.resume(error=JobClosed())
    assert cleaned_up == [1]


def test_a_job_closed_before_it_began_never_begins(adapt: Adapter) -> None:
    began: list[int] = []

    def steps() -> Steps:
        began.append(1)
        yield CALLS[0]

    job = adapt(steps())
    with pytest.raises(JobClosed):
        job.resume(error=JobClosed())
    assert began == []


def test_what_is_no_call_is_refused_by_name(adapt: Adapter) -> None:
    def steps() -> Steps:
        yield "something"  # type: ignore[misc] # what a careless task might do

    with pytest.raises(TypeError, match="a job gave the executor str, not a Call"):
        adapt(steps()).resume()
    gc.collect()  # its generator is thrown away here, quietly


def test_a_blocking_function_is_suspended_from_any_depth() -> None:
    got: list[object] = []

    def deep(level: int) -> object:
        return deep(level - 1) if level else await_call(CALLS[0])

    job = GreenletJob(lambda: got.append(deep(50)))
    assert job.resume() is CALLS[0]
    assert job.resume("result") is DONE
    assert got == ["result"]


def test_two_suspended_functions_do_not_mix() -> None:
    def work(name: str) -> None:
        for number in range(3):
            assert await_call(CALLS[number]) == f"{name}{number}"

    jobs = {name: GreenletJob(lambda name=name: work(name)) for name in "ab"}
    for job in jobs.values():
        assert job.resume() is CALLS[0]
    for number in range(3):
        for name, job in jobs.items():
            following = job.resume(f"{name}{number}")
            assert following is (CALLS[number + 1] if number < 2 else DONE)


def test_a_blocking_function_runs_on_the_thread_that_resumes_it() -> None:
    threads: list[threading.Thread] = []
    GreenletJob(lambda: threads.append(threading.current_thread())).resume()
    assert threads == [threading.current_thread()]


def test_awaiting_a_call_outside_a_job_says_so() -> None:
    with pytest.raises(RuntimeError, match="not inside a job"):
        await_call(CALLS[0])


def test_a_finished_generator_may_have_made_no_call() -> None:
    def steps() -> Steps:
        return
        yield

    assert GeneratorJob(steps()).resume() is DONE


def test_a_settled_job_waits_after_its_device_calls_and_no_others() -> None:
    order: list[str] = []

    def steps() -> Steps:
        order.append(f"got {(yield Call(lambda: order.append('device') or 1))}")
        order.append(f"got {(yield Call(lambda: order.append('pool') or 2, where=Where.POOL))}")

    job = SettledJob(GeneratorJob(steps()), lambda: order.append("wait"))
    call = job.resume()
    while not isinstance(call, Done):
        call = job.resume(call.run())
    assert order == ["device", "wait", "got 1", "pool", "got 2"]


def test_a_settled_job_hands_on_how_its_calls_are_run() -> None:
    asked = Call(nothing, stage="draw", deadline_s=3, payload=4)

    def steps() -> Steps:
        yield asked

    call = SettledJob(GeneratorJob(steps()), nothing).resume()
    assert isinstance(call, Call)
    assert (call.where, call.stage, call.deadline_s, call.payload) == (Where.DEVICE, "draw", 3, 4)


def test_a_settled_job_can_be_closed() -> None:
    def steps() -> Steps:
        yield Call(nothing)

    job = SettledJob(GeneratorJob(steps()), nothing)
    job.resume()
    with pytest.raises(JobClosed):
        job.resume(error=JobClosed())


def test_a_call_that_cannot_be_smaller_is_made_twice_and_no_more() -> None:
    call = Call(nothing)

    def steps() -> Steps:
        got.append((yield from twice(call)))

    got: list[object] = []
    job = GeneratorJob(steps())
    assert job.resume() is call
    assert job.resume(error=OutOfMemory()) is call
    assert job.resume(7) is DONE
    assert got == [7]
    job = GeneratorJob(steps())
    job.resume()
    job.resume(error=OutOfMemory())
    with pytest.raises(OutOfMemory):
        job.resume(error=OutOfMemory())


def test_steps_within_a_blocking_function_give_it_what_they_return() -> None:
    got: list[object] = []

    def steps() -> Generator[Call, Any, str]:
        return "made of " + (yield CALLS[0])

    job = GreenletJob(lambda: got.append(await_steps(steps())))
    assert job.resume() is CALLS[0]
    assert job.resume("paper") is DONE
    assert got == ["made of paper"]


def test_a_blocking_function_within_steps_ends_when_the_job_is_closed() -> None:
    ended: list[str] = []

    def work() -> None:
        try:
            await_call(CALLS[0])
        finally:
            ended.append("cleaned up")

    job = GeneratorJob(blocking(work))
    job.resume()
    with pytest.raises(JobClosed):
        job.resume(error=JobClosed())
    assert ended == ["cleaned up"]
