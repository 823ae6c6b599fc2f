"""Samplers and noise schedules of flow-matching models, against a model whose answer is known."""

from typing import Any, Final

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from engine.diffusion.samplers import FLOW_SAMPLERS
from engine.diffusion.schedulers import make_scheduler, total_steps
from protocol.sampling import NoiseSchedule, SchedulerName
from tests.unit.engine.diffusion.gaussian import MEAN, SPREAD

SD3: Final = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
FLUX: Final = {**SD3, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}
MU: Final = 0.8
CONFIGS = pytest.mark.parametrize("config", [SD3, FLUX], ids=["sd3", "flux"])
NAMES = pytest.mark.parametrize("name", FLOW_SAMPLERS)
NOT_FOR_FLOW = (NoiseSchedule.ALIGN_YOUR_STEPS, NoiseSchedule.EDM)
SCHEDULES = [schedule for schedule in NoiseSchedule if schedule not in NOT_FOR_FLOW]


def made(
    config: dict[str, Any], name: SchedulerName | None = None, schedule: NoiseSchedule | None = None
) -> tuple[Any, list[str]]:
    codes: list[str] = []
    return make_scheduler(config, name, schedule, warn=lambda code, _: codes.append(code)), codes


def set_timesteps(scheduler: Any, steps: int) -> None:
    """As the pipelines of Flux and of SD3 do."""
    if scheduler.config.get("use_dynamic_shifting"):
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), device="cpu", mu=MU)
    else:
        scheduler.set_timesteps(steps, device="cpu")


def sample(scheduler: Any, steps: int = 10, *, size: int = 16) -> tuple[Tensor, Tensor]:
    """The latents at the end, and where the exact path from the same start ends."""
    set_timesteps(scheduler, steps)
    latents = noise = torch.randn(1, 4, size, size, generator=torch.Generator().manual_seed(0))
    for timestep in scheduler.timesteps:
        share = float(timestep) / 1000
        kept = 1 - share
        variance = kept**2 * SPREAD**2 + share**2
        clean = MEAN + kept * SPREAD**2 / variance * (latents - kept * MEAN)
        latents = scheduler.step((latents - clean) / share, timestep, latents, return_dict=False)[0]
    return latents, MEAN + SPREAD * noise


@CONFIGS
@NAMES
def test_flow_samplers_end_where_the_path_does(config: dict[str, Any], name: SchedulerName) -> None:
    scheduler, codes = made(config, name)
    latents, exact = sample(scheduler, 60)
    is_heun = name in {SchedulerName.HEUN, SchedulerName.FLOW_HEUN}
    assert float((latents - exact).abs().mean()) < (0.01 if is_heun else 0.03)
    assert not codes


@CONFIGS
def test_heun_goes_over_the_levels_of_the_models_own_sampler(config: dict[str, Any]) -> None:
    heun, euler = made(config, SchedulerName.FLOW_HEUN)[0], made(config)[0]
    for scheduler in (heun, euler):
        set_timesteps(scheduler, 6)
    assert total_steps(heun) == 11
    assert torch.allclose(heun.sigmas[1::2], euler.sigmas[1:])
    assert torch.allclose(heun.timesteps[::2], euler.timesteps)


@CONFIGS
@NAMES
def test_every_schedule_counts_and_no_two_are_the_same(config: dict[str, Any], name: SchedulerName) -> None:
    results = [sample(made(config, name)[0], 6)[0]]
    for schedule in SCHEDULES:
        scheduler, codes = made(config, name, schedule)
        latents = sample(scheduler, 6)[0]
        assert torch.isfinite(latents).all()
        assert not codes
        assert not any(torch.equal(latents, other) for other in results), schedule
        results.append(latents)


@CONFIGS
def test_a_schedule_is_shifted_like_the_model(config: dict[str, Any]) -> None:
    scheduler, _ = made(config, None, NoiseSchedule.SIMPLE)
    set_timesteps(scheduler, 4)
    factor = float(np.exp(MU)) if config is FLUX else 3.0
    assert float(scheduler.sigmas[2]) == pytest.approx(factor * 0.5 / (1 + (factor - 1) * 0.5))
    assert float(scheduler.sigmas[0]) == pytest.approx(1)
    assert float(scheduler.sigmas[-1]) == 0


@CONFIGS
def test_other_samplers_are_refused_with_a_warning_and_the_models_own_is_used(config: dict[str, Any]) -> None:
    scheduler, codes = made(config, SchedulerName.DPMPP_2M)
    assert type(scheduler) is diffusers.FlowMatchEulerDiscreteScheduler
    assert codes == ["sampler_not_for_model"]


@CONFIGS
def test_without_names_the_scheduler_is_the_stock_one(config: dict[str, Any]) -> None:
    for name in (None, SchedulerName.EULER, SchedulerName.FLOW_EULER):
        scheduler, codes = made(config, name)
        assert type(scheduler) is diffusers.FlowMatchEulerDiscreteScheduler
        assert scheduler.config.shift == 3.0
        assert not codes


@pytest.mark.parametrize("schedule", NOT_FOR_FLOW)
def test_what_has_no_levels_for_flow_models_is_left_out(schedule: NoiseSchedule) -> None:
    scheduler, codes = made(SD3, SchedulerName.FLOW_HEUN, schedule)
    assert codes == ["noise_schedule_unused"]
    assert torch.equal(sample(scheduler)[0], sample(made(SD3, SchedulerName.FLOW_HEUN)[0])[0])


def test_a_flow_model_with_another_sampler_of_its_own_keeps_its_levels() -> None:
    config = {"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    scheduler, codes = made(config, None, NoiseSchedule.KARRAS)
    assert type(scheduler) is diffusers.UniPCMultistepScheduler
    assert codes == ["noise_schedule_unused"]


@NAMES
def test_image_to_image_starts_in_the_middle(name: SchedulerName) -> None:
    scheduler, _ = made(SD3, name, NoiseSchedule.BETA)
    set_timesteps(scheduler, 10)
    begin = 4 * scheduler.order
    scheduler.set_begin_index(begin)
    timesteps = scheduler.timesteps[begin:]
    clean, noise = torch.full((1, 4, 8, 8), MEAN), torch.ones(1, 4, 8, 8)
    latents = scheduler.scale_noise(clean, timesteps[:1], noise)
    share = float(timesteps[0]) / 1000
    assert torch.allclose(latents, (1 - share) * clean + share * noise)
    for timestep in timesteps:
        latents = scheduler.step(noise - clean, timestep, latents, return_dict=False)[0]
    assert torch.allclose(latents, clean, atol=1e-5)
