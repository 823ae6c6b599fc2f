"""What the executor does with models that nobody runs a job on: tells of them, drops them, rests."""

import threading

from structlog.testing import capture_logs

from engine.interface import Call, Run, RunContext, Steps
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import TinyBackend, bench, calls, nothing


def test_what_is_in_memory_is_told_to_any_thread_while_the_device_is_busy() -> None:
    with bench(TinyBackend(resident=("checkpoint:a", "u2netp"))) as table:
        gate = table.hold_device()
        assert table.executor.resident_models() == ("checkpoint:a", "u2netp")
        gate.open()


def test_a_model_is_dropped_on_the_executor_thread_between_two_calls() -> None:
    with bench(TinyBackend(resident=("checkpoint:a",))) as table:
        gate = table.hold_device()
        table.executor.unload_model("checkpoint:a", "asked")
        assert table.backend.unloaded == []
        table.submit("after", lambda _run, _context: calls(nothing))
        gate.open()
        table.sink.wait_end("after")
        assert table.backend.unloaded == [("checkpoint:a", "asked")]
        assert table.executor.resident_models() == ()


def test_an_unloading_that_raises_costs_nobody_anything() -> None:
    class Broken(TinyBackend):
        def unload_model(self, name: str, reason: str) -> None:
            raise RuntimeError("the device is lost")

    with capture_logs() as logs, bench(Broken()) as table:
        table.executor.unload_model("checkpoint:a", "asked")
        table.submit("after", lambda _run, _context: calls(nothing))
        table.sink.wait_end("after")
        assert table.sink.types("after") == ["job.started", "job.succeeded"]
    assert "engine.free_memory_failed" in {entry["event"] for entry in logs}


def test_an_engine_with_nothing_to_do_rests_as_often_as_it_was_told() -> None:
    rests: list[float] = []
    thrice = threading.Event()

    def rest(idle_s: float) -> None:
        rests.append(idle_s)
        if len(rests) == 3:
            thrice.set()

    with bench(TinyBackend(on_rest=rest), model_idle_s=0.04):
        assert thrice.wait(DEADLINE_S), "it did not wake up by itself"
    assert set(rests) == {0.04}


def test_an_engine_that_is_never_idle_rests_between_the_steps_all_the_same() -> None:
    rested = threading.Event()
    backend = TinyBackend(on_rest=lambda _idle_s: rested.set())

    def task(_run: Run, _context: RunContext) -> Steps:
        while not rested.is_set():
            yield Call(nothing)

    with bench(backend, model_idle_s=0.04) as table:
        table.submit("busy", task)
        table.sink.wait_end("busy")
    assert rested.is_set()


def test_an_engine_without_an_idle_time_never_rests() -> None:
    rests: list[float] = []
    with bench(TinyBackend(on_rest=rests.append)) as table:
        for number in range(5):
            table.submit(f"job-{number}", lambda _run, _context: calls(nothing))
            table.sink.wait_end(f"job-{number}")
    assert rests == []
