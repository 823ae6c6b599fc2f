"""FreeU, for the jobs that ask for it alone."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.diffusion.studio import Studio
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of

ALONE = {"deterministic": True, "guidance_scale": 3.0}
WEIGHTS = {"b1": 1.2, "b2": 1.4, "s1": 0.7, "s2": 0.3}


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sdxl", "sd2", "flux"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


def stock(tiny_folder: TinyFolder, model: str, weights: dict[str, float]) -> Pixels:
    pipeline = DiffusionPipeline.from_pretrained(tiny_folder(model))
    pipeline.set_progress_bar_config(disable=True)
    pipeline.enable_freeu(**weights)
    generator = torch.Generator().manual_seed(5)
    drawn = pipeline("a cat", num_inference_steps=3, guidance_scale=3.0, generator=generator, output_type="np")
    return np.asarray(drawn.images[0])


@pytest.mark.parametrize(
    ("model", "asked", "meant"),
    [
        ("sd1", WEIGHTS, WEIGHTS),
        ("sd1", {}, {"b1": 1.5, "b2": 1.6, "s1": 0.9, "s2": 0.2}),
        ("sd2", {}, {"b1": 1.4, "b2": 1.6, "s1": 0.9, "s2": 0.2}),
        ("sdxl", {"s1": 0.6}, {"b1": 1.3, "b2": 1.4, "s1": 0.6, "s2": 0.2}),
    ],
)
def test_freeu_draws_what_a_stock_pipeline_with_it_draws(
    studio: Studio, tiny_folder: TinyFolder, model: str, asked: dict[str, float], meant: dict[str, float]
) -> None:
    made = draw(studio, {**ALONE, "model": model, "freeu": asked})
    assert np.abs(made / 255 - stock(tiny_folder, model, meant)).max() < 0.51 / 255
    assert not np.array_equal(made, draw(studio, {**ALONE, "model": model}))


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_weight_counts(studio: Studio, name: str) -> None:
    usual = draw(studio, {**ALONE, "freeu": WEIGHTS})
    assert not np.array_equal(draw(studio, {**ALONE, "freeu": {**WEIGHTS, name: 2.5}}), usual)


@pytest.mark.parametrize("alone", [True, False], ids=["interleaved", "batched"])
def test_jobs_with_other_weights_at_once_draw_what_they_draw_alone(studio: Studio, alone: bool) -> None:
    asked: list[dict[str, Any]] = [
        {**ALONE, "deterministic": alone, **job} for job in ({"freeu": WEIGHTS}, {}, {"freeu": {}}, {"freeu": WEIGHTS})
    ]
    expected = [draw(studio, job) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked), expected, strict=True):
        assert np.abs(made.astype(int) - wanted).max() <= (0 if alone else 1)


def test_a_model_without_a_unet_is_warned_of_and_draws_as_ever(studio: Studio) -> None:
    made = make(studio, {"model": "flux", "freeu": {}, "guidance_scale": 1.0})
    assert made.warnings == ["freeu_unused"]
    assert made.outputs == make(studio, {"model": "flux", "guidance_scale": 1.0}).outputs
