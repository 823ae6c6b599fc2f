"""A second model that takes over for the last steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.events import StepFinished
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, draw, draw_at_once, make, studio_of
from tests.unit.engine.pictures import save

ALONE = {"deterministic": True, "guidance_scale": 3.0, "steps": 10, "model": "sdxl"}
REFINED = {**ALONE, "refiner": "sdxl_refiner"}
PHOTO = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
REGION = {"x": 16, "y": 8, "width": 30, "height": 40}


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sd1", "sd1_inpaint", "sdxl", "sdxl_inpaint", "sdxl_refiner"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


@pytest.fixture
def photo(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def stock(tiny_folder: TinyFolder, start: float) -> Pixels:
    base = DiffusionPipeline.from_pretrained(tiny_folder("sdxl"))
    refiner = DiffusionPipeline.from_pretrained(tiny_folder("sdxl_refiner"), vae=base.vae)
    generator = torch.Generator().manual_seed(5)
    common: dict[str, Any] = {"num_inference_steps": 10, "guidance_scale": 3.0, "generator": generator}
    for pipeline in (base, refiner):
        pipeline.set_progress_bar_config(disable=True)
    latents = base("a cat", denoising_end=start, output_type="latent", **common).images
    return np.asarray(refiner("a cat", image=latents, denoising_start=start, output_type="np", **common).images[0])


@pytest.mark.parametrize("start", [0.8, 0.5])
def test_a_refined_picture_is_what_stock_pipelines_draw_one_after_the_other(
    studio: Studio, tiny_folder: TinyFolder, start: float
) -> None:
    made = draw(studio, {**REFINED, "refiner_start": start})
    assert np.abs(made / 255 - stock(tiny_folder, start)).max() < 0.51 / 255
    assert not np.array_equal(made, draw(studio, ALONE))


def test_the_refiner_begins_at_eight_tenths_unless_told(studio: Studio) -> None:
    assert np.array_equal(draw(studio, REFINED), draw(studio, {**REFINED, "refiner_start": 0.8}))
    assert not np.array_equal(draw(studio, REFINED), draw(studio, {**REFINED, "refiner_start": 0.6}))


@pytest.mark.parametrize("scheduler", ["euler", "euler_ancestral", "dpmpp_2m", "ddim"])
def test_steps_are_counted_over_both_models(studio: Studio, scheduler: str) -> None:
    driver = make(studio, {**REFINED, "refiner_start": 0.7, "scheduler": scheduler})
    told = driver.of_type(StepFinished)
    assert [each.step for each in told] == list(range(1, 11))
    assert {each.steps for each in told} == {10}
    assert driver.progress == sorted(driver.progress)
    assert len(driver.pictures) == 10


def test_jobs_with_and_without_a_refiner_at_once_draw_what_they_draw_alone(studio: Studio) -> None:
    asked = [REFINED, ALONE, {**REFINED, "refiner_start": 0.4, "seed": 8}]
    expected = [draw(studio, job) for job in asked]
    for made, wanted in zip(draw_at_once(studio, *asked), expected, strict=True):
        assert np.array_equal(made, wanted)


def test_a_picture_that_is_started_from_is_refined(studio: Studio, photo: dict[str, Path]) -> None:
    params = {**REFINED, "strength": 0.6}
    made = make(studio, params, task=TaskName.IMAGE_TO_IMAGE, inputs=photo)
    assert [each.step for each in made.of_type(StepFinished)] == [1, 2, 3, 4, 5, 6]
    plain = draw(studio, {**ALONE, "strength": 0.6}, task=TaskName.IMAGE_TO_IMAGE, inputs=photo)
    assert not np.array_equal(draw(studio, params, task=TaskName.IMAGE_TO_IMAGE, inputs=photo), plain)


def test_what_begins_after_the_refiner_would_is_warned_of(studio: Studio, photo: dict[str, Path]) -> None:
    late = {"strength": 0.2}
    made = make(studio, {**REFINED, **late}, task=TaskName.IMAGE_TO_IMAGE, inputs=photo)
    assert made.warnings == ["refiner_unused"]
    assert made.outputs == make(studio, {**ALONE, **late}, task=TaskName.IMAGE_TO_IMAGE, inputs=photo).outputs


def test_a_refiner_that_has_no_step_left_makes_the_picture_all_the_same(studio: Studio) -> None:
    few = {"steps": 2, "noise_schedule": "trailing"}
    made = make(studio, {**REFINED, **few})
    assert [each.step for each in made.of_type(StepFinished)] == [1, 2]
    assert np.array_equal(draw(studio, {**REFINED, **few}), draw(studio, {**ALONE, **few}))


@pytest.mark.parametrize("model", ["sdxl", "sdxl_inpaint"])
def test_a_filled_hole_is_refined_and_nothing_else(studio: Studio, photo: dict[str, Path], model: str) -> None:
    params = {"model": model, "regions": [REGION], "crop": False}
    made = draw(studio, {**REFINED, **params}, task=TaskName.INPAINT, inputs=photo)
    plain = draw(studio, {**ALONE, **params}, task=TaskName.INPAINT, inputs=photo)
    outside = np.ones((64, 64), np.bool_)
    outside[8:48, 16:46] = False
    assert np.array_equal(made[outside], PHOTO[outside])
    assert not np.array_equal(made, plain)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"refiner": "nobody"}, ErrorCode.MODEL_MISSING, "no checkpoint 'nobody'"),
        ({"refiner": "sd1_inpaint"}, ErrorCode.INVALID_PARAMS, "'sd1_inpaint' cannot be a refiner"),
        ({"refiner": "sdxl_refiner", "model": "sd1"}, ErrorCode.INVALID_PARAMS, "'sd1' cannot be refined"),
    ],
)
def test_what_cannot_refine_is_refused(studio: Studio, params: dict[str, Any], code: ErrorCode, message: str) -> None:
    with pytest.raises(EngineError, match=message) as error:
        draw(studio, {**ALONE, **params})
    assert error.value.code is code
