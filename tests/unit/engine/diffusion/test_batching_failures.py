"""Jobs that fail, leave or want too much memory in a forward that others share."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    StableDiffusionPipeline,
)
from structlog.testing import capture_logs

from engine.diffusion.intercepted import intercept_components
from engine.diffusion.pace import Pace
from engine.diffusion.scope import JobScope, job_scope
from engine.interface import Run, RunContext
from protocol.events import JobFailed
from tests import tiny_models
from tests.unit.engine.diffusion.tiny_jobs import text, text_job
from tests.unit.engine.diffusion.tiny_pipelines import (
    Eager,
    Job,
    Rig,
    alone,
    assert_equal_to_rounding,
    call,
)


def spoil(rig: Rig, wrong: Callable[[torch.Tensor], bool], raised: Exception, pace: type[Any] = Eager) -> None:
    """Have the denoiser raise whenever a row of its input is `wrong`."""
    unet = rig.components["unet"]
    for each in rig.interceptions:
        each.undo()
    inner = unet.forward

    def spoilt(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if wrong(sample):
            raise raised
        return inner(sample, *args, **kwargs)

    unet.forward = functools.wraps(inner)(spoilt)
    rig.interceptions = intercept_components(rig.components, pace=pace)


def test_a_job_that_raises_in_its_own_step_leaves_the_others_right() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    with rig.bench() as table:
        gate = table.hold_device()

        def raise_in_step(*_args: Any) -> dict[str, Any]:
            raise ValueError("a bad step")

        def work(_run: Run, _context: RunContext) -> None:
            with job_scope(JobScope()):
                call(rig.components, text_job("bad", 3), callback_on_step_end=raise_in_step)

        table.submit("bad", work)
        rig.submit(table, jobs)
        gate.open()
        rig.wait_end(table, "a", "b", "bad")
        assert "a bad step" in table.sink.one("bad", JobFailed).error.message
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))
    assert rig.rows["unet"] == [6, 4, 4, 4]


def test_a_job_cancelled_while_its_forward_is_shared_leaves_the_others_right() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    with rig.bench() as table:
        gate = table.hold_device()

        def cancel_at_two(_pipe: Any, step: int, *_args: Any) -> dict[str, Any]:
            if step == 1:
                table.executor.cancel("leaving", "asked")
            return {}

        def work(_run: Run, _context: RunContext) -> None:
            with job_scope(JobScope()):
                call(rig.components, text_job("leaving", 3, steps=50), callback_on_step_end=cancel_at_two)

        table.submit("leaving", work)
        rig.submit(table, jobs)
        gate.open()
        rig.wait_end(table, "a", "b", "leaving")
        assert table.sink.types("leaving")[-1] == "job.cancelled"
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))
    assert rig.rows["unet"] == [6, 6, 4, 4]


def test_one_job_that_spoils_a_forward_fails_alone() -> None:
    jobs = [text_job("a", 1), text_job("b", 2)]
    rig = Rig(tiny_models.make_sd1())
    spoil(rig, lambda sample: bool(sample.isnan().any()), ValueError("not a number"))
    with capture_logs(), rig.bench() as table:
        gate = table.hold_device()
        spoilt = text(3, latents=torch.full((1, 4, 8, 8), torch.nan))
        bad = Job("bad", StableDiffusionPipeline, spoilt)
        rig.submit(table, [*jobs, bad])
        gate.open()
        rig.wait_end(table, "a", "b", "bad")
        assert "not a number" in table.sink.one("bad", JobFailed).error.message
    assert_equal_to_rounding(rig.made, alone(tiny_models.make_sd1(), jobs))


def test_forwards_that_need_too_much_memory_together_become_smaller_and_no_job_fails() -> None:
    jobs = [text_job(f"job-{at}", at, steps=12) for at in range(4)]
    rig = Rig(tiny_models.make_sd1())
    spoil(rig, lambda sample: len(sample) > 4, MemoryError("that is too much"), Doubling)
    with capture_logs() as logs:
        made = rig.run(jobs)
    assert_equal_to_rounding(made, alone(tiny_models.make_sd1(), jobs))
    assert [log["size"] for log in logs if log["event"] == "group.failed"] == [4]
    assert max(rig.rows["unet"]) == 4
    assert rig.rows["unet"].count(4) > rig.rows["unet"].count(2)


class Doubling(Pace):
    """Finds that rows cost nothing."""

    def record(self, rows: int, seconds: float) -> None:
        super().record(rows, 0.01)
