"""What a job gets back of its calls, and what is told of them."""

import threading

from engine.interface import Call, Run, RunContext, Steps, Where
from protocol.events import JobSucceeded
from tests.unit.engine.workbench import Bench, nothing


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
