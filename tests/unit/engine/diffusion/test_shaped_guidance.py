"""What the stock formula of guidance makes of shaped answers is what was wanted."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from engine.diffusion.bilateral import blurred_along
from engine.diffusion.denoiser_answers import Answers
from engine.diffusion.shaped_guidance import ShapedGuidance
from engine.steps import GreenletJob

BETAS: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
UNET = nn.Identity()
SCALE = 6.0
SHOWN = torch.randn(2, 9, 8, 8, generator=torch.Generator().manual_seed(1))
PAIR = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
SCHEDULER = DDIMScheduler(**BETAS)


def answers() -> Answers:
    found = Answers.of(SCHEDULER)
    assert found is not None
    return found


def shaped(timestep: int, pair: Tensor = PAIR, **asked: Any) -> tuple[Tensor, ShapedGuidance]:
    """What a pipeline gets for a forward of the denoiser."""
    guidance = ShapedGuidance(SCALE, **{"sharpness": 0.0, "adaptive": None, **asked}, answers={UNET: answers()})
    given = {"sample": SHOWN[: len(pair)], "timestep": torch.tensor(timestep)}
    made: list[Any] = []
    job = GreenletJob(lambda: made.append(guidance(UNET, given, lambda _: (pair,))))
    call: Any = job.resume()
    while not made:
        call = job.resume(call.run())
    return made[0][0], guidance


def combined(pair: Tensor) -> Tensor:
    """As stock pipelines do."""
    without, wanted = pair.chunk(2)
    return without + SCALE * (wanted - without)


@pytest.mark.parametrize("timestep", [999, 700, 30])
def test_an_adaptive_weight_mixes_the_results_of_both_weights_by_the_progress(timestep: int) -> None:
    progress = 1 - timestep / 999
    low = PAIR[:1] + 2.5 * (PAIR[1:] - PAIR[:1])
    expected = progress * combined(PAIR) + (1 - progress) * low
    assert torch.allclose(combined(shaped(timestep, adaptive=2.5)[0]), expected, atol=1e-5)


def test_an_adaptive_weight_above_the_scale_leaves_everything_as_it_is() -> None:
    assert torch.equal(shaped(500, adaptive=7.0)[0], PAIR)


@pytest.mark.parametrize("timestep", [999, 400, 0])
def test_sharpness_blurs_a_share_of_the_noise_found_with_the_prompt_along_the_clean_picture(timestep: int) -> None:
    share = 0.001 * 30 * (1 - timestep / 999)
    kept = SCHEDULER.alphas_cumprod[timestep]
    clean = (SHOWN[1:, :4] - (1 - kept).sqrt() * PAIR[1:]) / kept.sqrt()
    noise = (1 - share) * PAIR[1:] + share * blurred_along(PAIR[1:], clean)
    made, _ = shaped(timestep, sharpness=30.0)
    assert torch.equal(made[0], PAIR[0])
    assert torch.allclose(made[1:], noise, atol=1e-5)
    assert (timestep == 999) == torch.equal(made, PAIR)


def test_one_answer_is_no_pair_and_stays_as_it_is() -> None:
    made, guidance = shaped(500, PAIR[:1], sharpness=30.0, adaptive=1.0)
    assert torch.equal(made, PAIR[:1])
    assert not guidance.has_acted
    assert shaped(500, sharpness=30.0)[1].has_acted


def test_models_that_are_not_known_are_left_alone() -> None:
    guidance = ShapedGuidance(SCALE, sharpness=30.0, adaptive=1.0, answers={})
    result = (PAIR,)
    assert guidance(UNET, {"sample": SHOWN, "timestep": 500}, lambda _: result) is result


def test_what_else_a_model_answers_with_is_kept() -> None:
    more = torch.cat([PAIR, PAIR], dim=1)
    guidance = ShapedGuidance(SCALE, sharpness=0.0, adaptive=2.0, answers={UNET: answers()})
    made, kept = guidance(UNET, {"hidden_states": SHOWN[:, :4], "timestep": 900}, lambda _: (more, "kept"))
    assert kept == "kept"
    assert torch.equal(made[:, 4:], more[:, 4:])
    assert not torch.equal(made[:, :4], more[:, :4])
