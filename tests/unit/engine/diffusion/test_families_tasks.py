"""Every generating task on every family of models: what it makes, or which tasks the refusal names instead."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.tiny_models import make_sd1, seeded
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import draw, make, pixels, studio_of
from tests.unit.engine.pictures import save

PHOTO: Final = np.random.default_rng(1).integers(0, 256, (48, 72, 3), np.uint8)
REGION: Final = {"x": 20, "y": 12, "width": 24, "height": 20}
TEXT, IMAGE, INPAINT, OUTPAINT = (
    TaskName.TEXT_TO_IMAGE,
    TaskName.IMAGE_TO_IMAGE,
    TaskName.INPAINT,
    TaskName.OUTPAINT,
)
ASKED: Final[Mapping[TaskName, Mapping[str, Any]]] = {
    TEXT: {"width": 72, "height": 48},
    IMAGE: {},
    INPAINT: {"regions": [REGION], "crop": False},
    OUTPAINT: {"right": 16, "overlap_px": 6},
}
ALL: Final = frozenset(ASKED)
CAN: Final[Mapping[str, frozenset[TaskName]]] = {
    "sd1": ALL,
    "sd1_inpaint": frozenset({INPAINT, OUTPAINT}),
    "sd2": ALL,
    "sd2_inpaint": frozenset({INPAINT, OUTPAINT}),
    "sdxl": ALL,
    "sdxl_inpaint": frozenset({INPAINT, OUTPAINT}),
    "sdxl_refiner": ALL - {TEXT},
    "sd3": ALL,
    "flux": ALL,
    "flux_dev": ALL,
    "pixart": frozenset({TEXT}),
}
EDITORS: Final = frozenset({Family.INSTRUCT_PIX2PIX, Family.PAINT_BY_EXAMPLE, Family.POWERPAINT})
"""What they can do is in `test_editors`."""
SAID: Final = {
    "sd1_inpaint": "it can inpaint",
    "sd2_inpaint": "it can inpaint",
    "sdxl_inpaint": "it can inpaint",
    "sdxl_refiner": "it can start from a picture and inpaint",
    "pixart": "it can make pictures from text alone",
}
"""How a model that cannot do all says what it can."""


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in CAN:
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photo.png", PHOTO)


def inputs(task: TaskName, photo: Path) -> dict[str, Path]:
    return {} if task is TEXT else {"image": photo}


def test_every_family_is_here(studio: Studio) -> None:
    families = {model.family for model in studio.library.models if model.name in CAN}
    assert families == set(Family) - {Family.UNKNOWN} - EDITORS


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in CAN for task in ASKED if task in CAN[name]])
def test_a_task_makes_its_picture(studio: Studio, photo: Path, name: str, task: TaskName) -> None:
    made = make(studio, {"model": name, **ASKED[task]}, task=task, inputs=inputs(task, photo))
    picture = pixels(made.outputs[0].content)
    assert picture.shape == ((48, 88, 3) if task is OUTPAINT else (48, 72, 3))
    assert picture.std() > 1
    (output,) = made.of_type(OutputReady)
    assert output.data["model"] == name
    told = made.of_type(StepFinished)
    assert [each.step for each in told] == list(range(1, len(told) + 1))
    assert told[-1].step == told[-1].steps
    assert len(made.pictures) == len(told) > 0
    assert made.warnings == []
    inside = np.ones(picture.shape[:2], np.bool_)
    if task is INPAINT:
        inside[:] = False
        inside[12:32, 20:44] = True
    if task is OUTPAINT:
        inside[:, :66] = False
    original = np.pad(PHOTO, ((0, 0), (0, picture.shape[1] - 72), (0, 0)))
    assert np.array_equal(picture[~inside], original[~inside])
    assert not np.array_equal(picture[inside], original[inside])


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in CAN for task in ASKED if task not in CAN[name]])
def test_a_model_that_cannot_says_what_it_can(studio: Studio, photo: Path, name: str, task: TaskName) -> None:
    with pytest.raises(EngineError, match=f"'{name}' cannot .*; {SAID[name]}$") as refused:
        make(studio, {"model": name, **ASKED[task]}, task=task, inputs=inputs(task, photo))
    assert refused.value.code is ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize("name", [name for name in CAN if TEXT in CAN[name]])
def test_text_to_image_draws_what_a_stock_pipeline_draws(studio: Studio, tiny_folder: TinyFolder, name: str) -> None:
    asked = {"model": name, "guidance_scale": 3.0, "negative_prompt": "blurred", "deterministic": True, **ASKED[TEXT]}
    made = draw(studio, {**asked, "width": 64, "height": 64})
    pipeline: Any = DiffusionPipeline.from_pretrained(tiny_folder(name))
    pipeline.set_progress_bar_config(disable=True)
    guidance = {"true_cfg_scale": 3.0} if name == "flux" else {"guidance_scale": 3.0}
    drawn = pipeline(
        "a cat",
        negative_prompt="blurred",
        num_inference_steps=3,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
        **guidance,
    )
    assert np.abs(made / 255 - np.asarray(drawn.images[0])).max() < 0.51 / 255


def test_clip_skip_of_sd3_is_that_of_its_pipeline(studio: Studio, tiny_folder: TinyFolder) -> None:
    made = draw(studio, {"model": "sd3", "clip_skip": 1, "guidance_scale": 1.0, "width": 64, "height": 64})
    pipeline: Any = DiffusionPipeline.from_pretrained(tiny_folder("sd3"))
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(5)
    asked = {"num_inference_steps": 3, "width": 64, "height": 64, "guidance_scale": 1.0, "output_type": "np"}
    drawn = pipeline("a cat", clip_skip=1, generator=generator, **asked)
    assert np.abs(made / 255 - np.asarray(drawn.images[0])).max() < 0.51 / 255


def test_a_unet_that_is_told_its_guidance_has_no_use_for_a_negative_prompt(tmp_path: Path) -> None:
    pipeline: Any = make_sd1()
    with seeded(8):
        # What was left open when it was made would be left open again.
        config = {**pipeline.unet.config, "time_cond_proj_dim": 16, "_use_default_values": []}
        pipeline.unet = UNet2DConditionModel.from_config(config).requires_grad_(requires_grad=False)
    pipeline.save_pretrained(tmp_path / "lcm")
    studio = studio_of(tmp_path)
    plain, against, other = (
        make(studio, {"model": "lcm", "guidance_scale": 4.0, **more})
        for more in ({}, {"negative_prompt": "blurred"}, {"guidance_scale": 8.0})
    )
    assert (plain.warnings, against.warnings) == ([], ["negative_prompt_unused"])
    assert against.outputs[0].content == plain.outputs[0].content != other.outputs[0].content
