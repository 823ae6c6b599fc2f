"""Jobs that call stock pipelines over shared, intercepted tiny modules, in a real executor; and the same jobs alone."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, Final

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from engine.diffusion.intercepted import intercept_components
from engine.diffusion.scope import JobScope, job_scope
from engine.interface import LiveJob, Run, RunContext
from engine.steps import GreenletJob, await_steps
from tests.servers import DEADLINE_S
from tests.unit.engine.workbench import Bench, TinyBackend, bench

SCHEDULERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "euler": EulerDiscreteScheduler.from_config,
    "euler_ancestral": EulerAncestralDiscreteScheduler.from_config,
    "dpmpp_2m_karras": partial(DPMSolverMultistepScheduler.from_config, use_karras_sigmas=True),
    "dpmpp_2m_sde": partial(DPMSolverMultistepScheduler.from_config, algorithm_type="sde-dpmsolver++"),
    "ddim": DDIMScheduler.from_config,
    "ddpm": DDPMScheduler.from_config,
    "uni_pc": UniPCMultistepScheduler.from_config,
    "pndm": partial(PNDMScheduler.from_config, skip_prk_steps=True),
    "heun": HeunDiscreteScheduler.from_config,
    "dpm_2": KDPM2DiscreteScheduler.from_config,
    "deis": DEISMultistepScheduler.from_config,
    "lcm": LCMScheduler.from_config,
}

ROUNDING: Final = 3e-5
"""Of the largest number: kernels add in another order for another number of rows."""


@dataclass(frozen=True)
class Job:
    """One call of a stock pipeline.

    Attributes:
        kind: the pipeline's class.
        options: what it is called with, beside the generator.
        after: joins once this job has done that many steps; None is there from the start.
    """

    name: str
    kind: type[DiffusionPipeline]
    options: Mapping[str, Any]
    scheduler: str | None = "euler"
    seed: int = 0
    scope: JobScope = field(default_factory=JobScope)
    after: tuple[str, int] | None = None


class Eager:
    """Groups whatever may be grouped."""

    def most_rows(self, rows: int) -> int:
        return 64

    def record(self, rows: int, seconds: float) -> None: ...

    def fail(self, rows: int) -> None: ...


class Solitary(Eager):
    """Groups nothing."""

    def most_rows(self, rows: int) -> int:
        return rows


class GreenletBackend(TinyBackend):
    """Runs ordinary blocking functions as jobs, on a thread without gradients."""

    def load(self) -> str:
        torch.set_grad_enabled(False)
        return super().load()

    def open(self, run: Run, context: RunContext) -> LiveJob:
        def work() -> None:
            made = self.tasks[run.job_id](run, context)
            if inspect.isgenerator(made):
                await_steps(made)

        return GreenletJob(work)


class Rig:
    """The shared components of one model, intercepted, and the forwards they make.

    Attributes:
        rows: component -> the rows of each forward it really made.
        made: job -> its latents.
        steps: job -> the steps it told of.
    """

    def __init__(self, model: DiffusionPipeline, pace: Callable[[], Any] = Eager, **more: Any) -> None:
        self.pipeline = model
        self.components = {**model.components, **more}
        self.rows: dict[str, list[int]] = {}
        self.made: dict[str, Tensor] = {}
        self.steps: dict[str, list[int]] = {}
        for name, component in self.components.items():
            if isinstance(component, torch.nn.Module):
                self.rows[name] = count_rows(component)
        self.interceptions = intercept_components(self.components, pace=pace)

    @contextmanager
    def bench(self) -> Iterator[Bench]:
        with bench(GreenletBackend(), max_live_jobs=32) as table:
            yield table

    def run(self, jobs: Sequence[Job]) -> dict[str, Tensor]:
        """Run the jobs together; those that come later join at the very step they name."""
        with self.bench() as table:
            gate = table.hold_device()
            self.submit(table, jobs)
            gate.open()
            self.wait_end(table, *(job.name for job in jobs))
            ends = {job.name: table.sink.types(job.name)[-1] for job in jobs}
        assert set(ends.values()) == {"job.succeeded"}, ends
        return self.made

    def wait_end(self, table: Bench, *names: str) -> None:
        table.sink.wait_end(*names, deadline_s=6 * DEADLINE_S)

    def submit(self, table: Bench, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.after is None:
                self._submit(table, job, jobs)

    def _submit(self, table: Bench, job: Job, jobs: Sequence[Job]) -> None:
        # Jobs of different keys take turns wherever they are not grouped.
        table.submit(job.name, self.task(table, job, jobs), share=job.name)

    def task(self, table: Bench, job: Job, jobs: Sequence[Job] = ()) -> Callable[[Run, RunContext], None]:
        def work(_run: Run, _context: RunContext) -> None:
            def on_step(_pipe: Any, index: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
                done = index + 1
                self.steps.setdefault(job.name, []).append(done)
                for each in jobs:
                    if each.after == (job.name, done):
                        self._submit(table, each, jobs)
                return {}

            with job_scope(job.scope):
                self.made[job.name] = call(self.components, job, callback_on_step_end=on_step)

        return work


def alone(model: DiffusionPipeline, jobs: Sequence[Job], **more: Any) -> dict[str, Tensor]:
    """The latents of each job, from stock pipelines that nobody has touched, one after another."""
    return {job.name: call({**model.components, **more}, job) for job in jobs}


def call(components: Mapping[str, Any], job: Job, **more: Any) -> Tensor:
    pipeline = make_pipeline(components, job)
    generator = torch.Generator().manual_seed(job.seed)
    # A pipeline writes to what it is given: the timesteps of a ControlNet's scheduler, the ids of Flux.
    made = pipeline(**job.options, **more, generator=generator, output_type="latent").images
    assert isinstance(made, Tensor)
    return made


def make_pipeline(components: Mapping[str, Any], job: Job) -> DiffusionPipeline:
    """A pipeline object with a scheduler of its own over the shared components."""
    config = components["scheduler"].config
    make = type(components["scheduler"]).from_config if job.scheduler is None else SCHEDULERS[job.scheduler]
    accepted = inspect.signature(job.kind.__init__).parameters
    mine = {name: each for name, each in components.items() if name in accepted and name != "scheduler"}
    if "requires_safety_checker" in accepted:
        mine["requires_safety_checker"] = False
    if "add_watermarker" in accepted:
        mine["add_watermarker"] = False
    pipeline = job.kind(scheduler=make(config), **mine)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def count_rows(module: torch.nn.Module) -> list[int]:
    """Note the rows of every forward, inside of any interception that comes later."""
    inner = module.forward
    rows: list[int] = []

    @wraps(inner)
    def counted(*args: Any, **kwargs: Any) -> Any:
        rows.append(len(args[0] if args else next(iter(kwargs.values()))))
        return inner(*args, **kwargs)

    module.forward = counted
    return rows


def error(got: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest number."""
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())


def assert_equal_to_rounding(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    errors = {name: error(got[name], expected[name]) for name in expected}
    assert max(errors.values()) <= ROUNDING, errors


def assert_identical(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    different = {
        name: error(got[name], expected[name]) for name in expected if not torch.equal(got[name], expected[name])
    }
    assert not different
