"""What is read out of a denoiser's answer is what the answer was made of."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from engine.diffusion.denoiser_answers import Answers

LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
BETAS: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def made(kind: str, timestep: int) -> tuple[Answers, Tensor, Tensor]:
    """How to read the answers, what the denoiser is shown, and what it should answer."""
    if kind == "flow":
        scheduler: Any = FlowMatchEulerDiscreteScheduler()
        share = timestep / 1000
        shown, answer = (1 - share) * LATENTS + share * NOISE, NOISE - LATENTS
    else:
        scheduler = DDIMScheduler(**BETAS, prediction_type=kind)
        at = torch.tensor([timestep])
        shown = scheduler.add_noise(LATENTS, NOISE, at)
        velocity = scheduler.get_velocity(LATENTS, NOISE, at)
        answer = {"epsilon": NOISE, "v_prediction": velocity, "sample": LATENTS}[kind]
    found = Answers.of(scheduler)
    assert found is not None
    return found, shown, answer


@pytest.mark.parametrize("timestep", [1, 250, 999])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow"])
def test_clean_latents_and_noise_are_those_the_answer_was_made_of(kind: str, timestep: int) -> None:
    answers, shown, answer = made(kind, timestep)
    assert torch.allclose(answers.clean(shown, answer, timestep), LATENTS, atol=1e-4)
    expected = answer if kind == "flow" else NOISE
    assert torch.allclose(answers.noise(shown, answer, timestep), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow"])
def test_an_answer_with_other_noise_says_that_noise_and_the_same_of_what_was_shown(kind: str) -> None:
    answers, shown, answer = made(kind, 400)
    changed = answers.with_noise_changed(answer, 0.3 * LATENTS, 400)
    noise, clean = answers.noise(shown, changed, 400), answers.clean(shown, changed, 400)
    assert torch.allclose(noise, answers.noise(shown, answer, 400) + 0.3 * LATENTS, atol=1e-4)
    if kind != "flow":
        share = DDIMScheduler(**BETAS).alphas_cumprod[400]
        assert torch.allclose(share.sqrt() * clean + (1 - share).sqrt() * noise, shown, atol=1e-4)


def test_levels_between_two_timesteps_are_between_theirs() -> None:
    answers, shown, answer = made("epsilon", 400)
    at = [float(answers.clean(shown, answer, timestep).norm()) for timestep in (400, 400.5, torch.tensor([401.0]))]
    assert at == sorted(at)
    assert at[0] < at[1] < at[2]


def test_progress_runs_from_the_first_timestep_to_the_last() -> None:
    answers, _, _ = made("epsilon", 400)
    assert [answers.progress(timestep) for timestep in (999, 0, 333, torch.tensor(-3.0))] == [0, 1, 1 - 333 / 999, 1]


def test_the_answers_of_models_without_a_table_of_betas_are_not_read() -> None:
    assert Answers.of(EDMEulerScheduler()) is None
    assert Answers.of(EulerDiscreteScheduler(**BETAS)) is not None
