"""What one denoising step costs through our engine, beside the bare diffusers pipeline on the same weights.

In two stages: with the denoiser's forward made a call of a greenlet job that is run at once, and with all of the
engine: executor, grouping, events, no previews. Then the same with a forward that does nothing, where what is added
is not lost in the forward's own ups and downs. A step is from the end of one to the end of the next.
"""

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.local_engine import LocalEngine, local_engine
from bench.measure import Measure, Round, compare
from bench.stock import step_times, stock_pipeline, without_forwards
from engine.diffusion.intercepted import intercept_components
from engine.diffusion.quiet import quieten
from engine.diffusion.scope import JobScope, job_scope
from engine.interface import Done
from engine.library.roots import EMBEDDED_DIR
from engine.steps import GreenletJob

_PROMPT: Final = "a red apple"
_GUIDANCE: Final = 3.5

StepTimes = Callable[[], list[float]]
"""Makes a picture, and gives when each of its steps was done."""


def run(
    *, quick: bool = False, folder: Path = EMBEDDED_DIR, steps: int = 50, rounds: int | None = None
) -> list[Measure]:
    """Both stages, with the forward and without.

    Args:
        folder: of the model, a diffusers folder.
        steps: of every picture.
    """
    rounds = rounds or (5 if quick else 25)
    quieten()
    measures = []
    ways = ((nullcontext(), f"a step of {folder.name}"), (without_forwards(), "a step without a forward"))
    for context, what in ways:
        with context, tempfile.TemporaryDirectory() as place, local_engine(Path(place), folder) as ours:
            measures += _measure(ours, folder, what, steps, rounds)
    return measures


def _measure(ours: LocalEngine, folder: Path, what: str, steps: int, rounds: int) -> list[Measure]:
    device = ours.device
    load = partial(stock_pipeline, folder, device.torch_device, ours.dtype(folder.name))
    bare, intercepted = (ours.on_its_thread(load) for _ in range(2))
    intercept_components(intercepted.components, wait=device.wait)
    options = {"num_inference_steps": steps, "guidance_scale": _GUIDANCE}
    params = {"prompt": _PROMPT, "model": folder.name, "steps": steps, "guidance_scale": _GUIDANCE, "seed": 0}
    ways: dict[str, StepTimes] = {
        "bare": lambda: ours.on_its_thread(partial(step_times, bare, _PROMPT, **options)),
        "intercepted": lambda: ours.on_its_thread(partial(_as_a_job, intercepted, options)),
        "whole engine": lambda: ours.generate(params)[0].steps_at,
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, times in ways.items():
            step_us = median(after - before for before, after in pairwise(times())) * 1e6
            if number:  # the first round loads the model, and whatever is loaded when first used
                taken[way].append(step_us)
    return [_compared(f"{what}, {way}", taken[way], taken["bare"]) for way in ways if way != "bare"]


def _compared(name: str, ours_us: list[float], bare_us: list[float]) -> Measure:
    rounds = [Round(*pair) for pair in zip(ours_us, bare_us, strict=True)]
    added_us = median(each.ours - each.reference for each in rounds)
    return compare(name, rounds, unit="us", against="bare pipeline", note=f"adds {added_us:.0f} us a step")


def _as_a_job(pipeline: Any, options: dict[str, Any]) -> list[float]:
    """The stock pipeline over intercepted modules, each of its calls run at once."""
    made: list[float] = []

    def work() -> None:
        with job_scope(JobScope()):
            made.extend(step_times(pipeline, _PROMPT, **options))

    job = GreenletJob(work)
    call = job.resume()
    while not isinstance(call, Done):
        call = job.resume(call.run())
    return made
