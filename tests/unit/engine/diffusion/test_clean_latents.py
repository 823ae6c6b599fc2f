"""The clean latents that a scheduler works towards, seen through its `step`."""

import gc
import inspect
import math
import weakref
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from engine.diffusion.clean_latents import CleanLatents
from engine.diffusion.samplers import FLOW_SAMPLERS, SAMPLERS
from engine.diffusion.schedulers import make_scheduler
from engine.diffusion.spacing import training_sigmas
from protocol.sampling import NoiseSchedule, SchedulerName
from tests.unit.engine.diffusion.gaussian import MEAN, SD1_CONFIG, SPREAD, predict, sample

FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}


def ignored(_code: str, _message: str) -> None:
    pass


def of_sd1(name: SchedulerName | None, schedule: NoiseSchedule | None = None, **config: Any) -> Any:
    return make_scheduler({**SD1_CONFIG, **config}, name, schedule, warn=ignored)


def told_and_seen(scheduler: Any, steps: int = 6) -> list[tuple[Tensor, Tensor]]:
    """Of every step: the clean latents the model believes in, and those the watch saw."""
    watch = CleanLatents(scheduler)
    assert watch.latest() is None
    table = training_sigmas(scheduler)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    pairs = []
    for timestep in scheduler.timesteps:
        shown = scheduler.scale_model_input(latents, timestep)
        sigma = math.exp(np.interp(float(timestep), np.arange(len(table)), np.log(table)))
        plain = shown * math.sqrt(1 + sigma**2)
        wanted = (SPREAD**2 * plain + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)
        output = predict(shown, sigma, scheduler.config.prediction_type)
        latents = scheduler.step(output, timestep, latents, return_dict=False, **extra)[0]
        seen = watch.latest()
        assert seen is not None
        pairs.append((wanted, seen))
    return pairs


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_the_clean_latents_are_what_the_model_believes_in(name: SchedulerName, prediction: str) -> None:
    scheduler = of_sd1(name, prediction_type=prediction)
    pairs = told_and_seen(scheduler)
    # LCM and TCD mix in a little of the noisy latents near the end; the others are exact.
    for wanted, seen in pairs:
        assert torch.allclose(wanted, seen, atol=0.02), float((wanted - seen).abs().max())


@pytest.mark.parametrize(
    "config",
    [
        {"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++", "solver_order": 3},
        {"_class_name": "UniPCMultistepScheduler"},
        {"_class_name": "TCDScheduler"},
        {"_class_name": "PNDMScheduler", "prediction_type": "v_prediction"},
    ],
    ids=lambda config: config["_class_name"],
)
def test_a_models_own_stock_scheduler_is_watched_as_well(config: dict[str, Any]) -> None:
    for wanted, seen in told_and_seen(of_sd1(None, **config)):
        assert torch.allclose(wanted, seen, atol=0.01)


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_flow_models_are_watched(name: SchedulerName) -> None:
    scheduler = make_scheduler(FLOW, name, warn=ignored)
    watch = CleanLatents(scheduler)
    scheduler.set_timesteps(4)
    clean, noise = torch.full((1, 4, 4, 4), 0.5), torch.randn(1, 4, 4, 4)
    latents = noise
    for timestep in scheduler.timesteps:
        latents = scheduler.step(noise - clean, timestep, latents, return_dict=False)[0]
        seen = watch.latest()
        assert seen is not None
        assert torch.allclose(seen, clean, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_watched_scheduler_samples_what_it_did_before(name: SchedulerName) -> None:
    plain, watched = of_sd1(name), of_sd1(name)
    before = inspect.signature(plain.step)
    CleanLatents(watched)
    assert inspect.signature(watched.step) == before  # pipelines decide by it what to pass
    assert torch.equal(sample(plain, 5).latents, sample(watched, 5).latents)


def test_results_are_given_in_the_form_that_was_asked_for() -> None:
    scheduler = of_sd1(SchedulerName.EULER)
    CleanLatents(scheduler)
    scheduler.set_timesteps(3)
    latents = torch.zeros(1, 4, 4, 4)
    plain = scheduler.step(latents, scheduler.timesteps[0], latents, return_dict=False)
    assert type(plain) is tuple
    assert len(plain) == 2
    named = scheduler.step(latents, scheduler.timesteps[1], latents)
    assert torch.equal(named.prev_sample, named["prev_sample"])


def test_without_a_way_to_know_the_latents_themselves_are_seen() -> None:
    class Output(diffusers.utils.BaseOutput):  # type: ignore[misc]  # an untyped base
        prev_sample: Tensor

    class Bare:
        config = {"prediction_type": "epsilon"}  # noqa: RUF012 - as diffusers has it

        def step(self, model_output: Tensor, timestep: int, sample: Tensor, return_dict: bool = True) -> Any:
            return Output(prev_sample=sample - model_output)

    scheduler = Bare()
    watch = CleanLatents(scheduler)
    made = scheduler.step(torch.ones(1), 0, torch.full((1,), 3.0), return_dict=False)[0]
    assert watch.latest() is made


def test_a_watched_scheduler_is_freed_without_the_garbage_collector() -> None:
    scheduler = of_sd1(SchedulerName.DPMPP_2M)
    watch = CleanLatents(scheduler)
    sample(scheduler, 3)
    gone = weakref.ref(scheduler)
    gc.disable()
    try:
        del scheduler
        assert gone() is None
        assert watch.latest() is not None
    finally:
        gc.enable()
