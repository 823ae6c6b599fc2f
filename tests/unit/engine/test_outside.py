"""Calls that wait for something outside: they take neither the device nor the side pool, and can be left."""

import threading

from engine.interface import Call, Run, RunContext, Steps, Where
from engine.interface.engine import EngineStatus
from protocol.events import JobCancelled, JobFailed, JobSucceeded
from tests.unit.engine.workbench import Gate, bench, calls, nothing

_MORE_THAN_THE_POOL_HAS = 4


def _wait(gate: Gate) -> Steps:
    yield Call(gate, where=Where.OUTSIDE, stage="download")


def test_jobs_that_wait_outside_leave_pool_and_device_to_others() -> None:
    gates = [Gate() for _ in range(_MORE_THAN_THE_POOL_HAS)]
    with bench(pool_threads=1, max_live_jobs=10) as table:
        for index, gate in enumerate(gates):
            table.submit(f"waits-{index}", lambda _run, _context, gate=gate: _wait(gate), is_batch=False)
            gate.wait_entered()
        table.submit("pool", lambda _run, _context: calls(nothing, where=Where.POOL), is_batch=False)
        # Batch work is held back while interactive work is in the pool, and would be here.
        table.submit("batch", lambda _run, _context: calls(nothing), is_batch=True)
        table.sink.wait_end("pool", "batch")
        assert not any(table.sink.has_ended(f"waits-{index}") for index in range(len(gates)))
        for gate in gates:
            gate.open()
        table.sink.wait_end(*(f"waits-{index}" for index in range(len(gates))))


def test_result_and_error_come_back_to_the_job_on_its_own_thread() -> None:
    got: list[object] = []

    def fails() -> None:
        raise LookupError("nobody there")

    def task(_run: Run, _context: RunContext) -> Steps:
        got.append((yield Call(threading.current_thread, where=Where.OUTSIDE)))
        try:
            yield Call(fails, where=Where.OUTSIDE)
        except LookupError as error:
            got.append(str(error))
        got.append((yield Call(threading.current_thread)))
        got.append(threading.current_thread())

    with bench() as table:
        table.submit("a", task)
        table.sink.wait_end("a")
        table.sink.one("a", JobSucceeded)
    outside, said, on_device, itself = got
    assert said == "nobody there"
    assert on_device is itself
    assert outside is not on_device


def test_cancel_of_a_job_that_waits_takes_effect_while_it_waits() -> None:
    gate = Gate()
    with bench() as table:
        table.submit("a", lambda _run, _context: _wait(gate))
        gate.wait_entered()
        table.executor.cancel("a", "not wanted")
        table.sink.wait_end("a")
        assert table.sink.one("a", JobCancelled).reason == "not wanted"
        gate.open()
        table.submit("b", lambda _run, _context: calls(nothing))
        table.sink.wait_end("b")


def test_wait_that_outlives_its_deadline_fails_its_job_and_leaves_the_engine_ready() -> None:
    gate = Gate()
    with bench(call_deadline_s=0.05) as table:
        table.submit("a", lambda _run, _context: _wait(gate))
        table.sink.wait_end("a")
        assert table.sink.one("a", JobFailed).error.code == "step_timeout"
        assert table.executor.state().status is EngineStatus.READY
        gate.open()
