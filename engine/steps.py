"""A job as steps: how a generator, or an ordinary blocking function, becomes a `LiveJob`."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

import greenlet

from engine.interface import DONE, Call, Done, LiveJob, OutOfMemory, Steps, Where

T = TypeVar("T")


class GeneratorJob:
    """A task written as a generator that yields calls."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def resume(self, value: object = None, error: BaseException | None = None) -> Call | Done:
        try:
            return _call(self._steps.send(value) if error is None else self._steps.throw(error))
        except StopIteration:
            return DONE


class GreenletJob:
    """An ordinary function made steppable: wherever it comes to `await_call`, it is suspended with its whole stack.

    The function runs on the thread that resumes it, so thread-bound state (autocast, default dtype, global random
    generators) is shared between all jobs: never rely on it.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._greenlet = greenlet.greenlet(lambda _first: work())

    def resume(self, value: object = None, error: BaseException | None = None) -> Call | Done:
        switched = self._greenlet.switch(value) if error is None else self._greenlet.throw(error)
        if self._greenlet.dead:
            return DONE
        return _call(switched)


class SettledJob:
    """A job on a device that works on its own: its device calls come back when what they asked for is done.

    Calls that are run as a group have to see to that themselves.

    Args:
        wait: returns when the device has nothing left to do, and raises what went wrong there.
    """

    def __init__(self, job: LiveJob, wait: Callable[[], None]) -> None:
        self._job = job
        self._wait = wait

    def resume(self, value: object = None, error: BaseException | None = None) -> Call | Done:
        call = self._job.resume(value, error)
        if isinstance(call, Done) or call.where is not Where.DEVICE:
            return call
        run = call.run

        def run_and_wait() -> Any:
            result = run()
            self._wait()
            return result

        return replace(call, run=run_and_wait)


def blocking(work: Callable[[], object]) -> Steps:
    """An ordinary function that comes to `await_call`, as the steps of a task; see `GreenletJob`."""
    job = GreenletJob(work)
    value: object = None
    error: BaseException | None = None
    while not isinstance(call := job.resume(value, error), Done):
        try:
            value, error = (yield call), None
        except BaseException as thrown:  # noqa: BLE001 - whatever is thrown in is the function's to meet
            value, error = None, thrown


def await_steps(steps: Generator[Call, Any, T]) -> T:
    """From inside a `GreenletJob`: go through `steps` and return what they return.

    Raises:
        BaseException: what they raised.
    """
    return _go_through(steps, await_call)


def run_through(steps: Generator[Call, Any, T]) -> T:
    """Outside of any job: make every call of `steps`, one after another on this thread, and return what they return.

    Raises:
        BaseException: what they raised.
    """
    return _go_through(steps, _make)


def _go_through(steps: Generator[Call, Any, T], make: Callable[[Call], object]) -> T:
    # Calls and what they return may hold tensors: an error that is raised holds this frame, and has to find it empty.
    came: list[object] = [None]
    error: BaseException | None = None
    while True:
        try:
            call = steps.send(came.pop()) if error is None else steps.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        error = None
        try:
            came.append(make(call))
        except BaseException as thrown:  # noqa: BLE001 - whatever was raised is the steps' to meet
            error = thrown
        del call


def _make(call: Call) -> object:
    return call.run()


def twice(call: Call) -> Generator[Call, Any, Any]:
    """The result of `call`, for one that cannot be made smaller: made again if it ran out of memory. Use `yield from`.

    By then the caches were freed, of models above all, so there may be room.

    Raises:
        OutOfMemory: there was none.
    """
    try:
        return (yield call)
    except OutOfMemory:
        return (yield call)


def await_call(call: Call) -> object:
    """From inside a `GreenletJob`: hand `call` to the executor and return its result.

    Raises:
        RuntimeError: not inside such a job.
        BaseException: what the call raised, or what the executor threw in.
    """
    parent = greenlet.getcurrent().parent
    if parent is None:
        raise RuntimeError("await_call: not inside a job's greenlet")
    return parent.switch(call)


def _call(given: object) -> Call:
    if not isinstance(given, Call):
        raise TypeError(f"a job gave the executor {type(given).__name__}, not a Call")
    return given
