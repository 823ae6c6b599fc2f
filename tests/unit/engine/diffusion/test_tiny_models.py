"""The tiny models stand for real ones: the real classes, the same weights for a seed, prompts that matter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests import tiny_models
from tests.tiny_models import SIDE_PX


def latents(pipeline: Any, prompt: str, **arguments: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(1)
    size = {"height": SIDE_PX, "width": SIDE_PX}
    return pipeline(
        prompt=prompt, num_inference_steps=2, output_type="latent", generator=generator, **size, **arguments
    ).images


TEXT_TO_IMAGE = {
    "sd1": tiny_models.make_sd1,
    "sd2": tiny_models.make_sd2,
    "sdxl": tiny_models.make_sdxl,
    "flux": lambda: tiny_models.make_flux(),
    "sd3": lambda: tiny_models.make_sd3(),
}


@pytest.mark.parametrize("make", TEXT_TO_IMAGE.values(), ids=TEXT_TO_IMAGE)
def test_a_tiny_model_follows_the_prompt_and_is_the_same_for_its_seed(make: Callable[[], Any]) -> None:
    one, other = make(), make()
    cat = latents(one, "a cat")
    assert torch.equal(cat, latents(other, "a cat"))
    assert (cat - latents(one, "a dog")).abs().max() > 0.01
