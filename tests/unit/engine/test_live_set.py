"""Who goes next on the device, among the live jobs of an executor."""

import threading

from engine.interface import Call, Run, RunContext, Steps, Where
from tests.unit.engine.workbench import Bench, Gate, Task, bench, calls, nothing


class Log:
    """Tasks that write down, call by call, who was on the device."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def task(self, name: str, count: int) -> Task:
        def run(_run: Run, _context: RunContext) -> Steps:
            return calls(*[lambda: self.lines.append(name)] * count)

        return run


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
