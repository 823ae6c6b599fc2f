"""How many jobs an executor has room for."""

import pytest

from engine.memory import estimate_bytes
from tests.unit.engine.workbench import TinyBackend, bench, calls, make_run, nothing


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
