"""Of the four generating tasks, on a tiny model of random weights."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.device import Device
from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.library.layouts import Root
from engine.library.library import Library
from engine.library.records import Family
from engine.models.residency import Residency
from engine.tasks.image_to_image import image_to_image
from engine.tasks.inpaint import inpaint
from engine.tasks.outpaint import outpaint
from engine.tasks.text_to_image import text_to_image
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import save

TASKS = {
    TaskName.TEXT_TO_IMAGE: text_to_image,
    TaskName.IMAGE_TO_IMAGE: image_to_image,
    TaskName.INPAINT: inpaint,
    TaskName.OUTPAINT: outpaint,
}
REGION = {"x": 30, "y": 20, "width": 30, "height": 24}
PHOTO = np.random.default_rng(1).integers(0, 256, (80, 112, 3), np.uint8)


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    for name in ("sd1", "sd1_inpaint", "sdxl"):
        tiny_folder(name)
    library = Library((Root(path=tiny_folder("sd1").parent),))
    library.refresh()
    device = Device(torch.device("cpu"))
    return Studio(library, Residency(Path(), "cpu"), device, default_model="sd1")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photo.png", PHOTO)


def make(studio: Studio, task: TaskName, params: Mapping[str, Any], photo: Path | None = None, **about: Any) -> Driver:
    inputs = {} if photo is None else {"image": photo}
    run = make_run(task, {"prompt": "a cat", "steps": 3, "seed": 5, **params}, inputs=inputs, **about)
    return drive(lambda run, context: TASKS[task](run, context, studio), run)


def pixels(driver: Driver, index: int = 0) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(BytesIO(driver.outputs[index].content)))


def test_a_prompt_gives_a_picture_in_steps_with_a_preview_each(studio: Studio) -> None:
    driver = make(studio, TaskName.TEXT_TO_IMAGE, {"width": 72, "height": 64})
    assert pixels(driver).shape == (64, 72, 3)
    assert [(told.step, told.steps, told.stage) for told in driver.of_type(StepFinished)] == [
        (1, 3, "denoise"),
        (2, 3, "denoise"),
        (3, 3, "denoise"),
    ]
    assert driver.progress == sorted(driver.progress)
    assert len(driver.pictures) == 3
    (output,) = driver.of_type(OutputReady)
    assert output.seed == 5
    assert output.data["model"] == "sd1"
    assert driver.warnings == []


def test_what_is_left_open_is_the_models_own(studio: Studio) -> None:
    driver = make(studio, TaskName.TEXT_TO_IMAGE, {"steps": None, "seed": None})
    (output,) = driver.of_type(OutputReady)
    assert (output.width, output.height) == (64, 64)
    assert output.data["steps"] == 25
    again = make(studio, TaskName.TEXT_TO_IMAGE, {"steps": None, "seed": None})
    assert output.seed == again.of_type(OutputReady)[0].seed, "another attempt at the job has another seed"


def test_image_i_is_the_picture_of_seed_plus_i(studio: Studio) -> None:
    both = make(studio, TaskName.TEXT_TO_IMAGE, {"images": 3})
    assert [output.seed for output in both.of_type(OutputReady)] == [5, 6, 7]
    for index in range(3):
        alone = make(studio, TaskName.TEXT_TO_IMAGE, {"seed": 5 + index})
        assert both.outputs[index].content == alone.outputs[0].content
    assert both.outputs[0].content != both.outputs[1].content


def test_images_of_one_seed_are_the_same_picture(studio: Studio) -> None:
    both = make(studio, TaskName.TEXT_TO_IMAGE, {"images": 2, "vary_seed": False})
    assert [output.seed for output in both.of_type(OutputReady)] == [5, 5]
    assert both.outputs[0].content == both.outputs[1].content


def test_after_the_largest_seed_comes_the_smallest(studio: Studio) -> None:
    largest = 2**63 - 1
    both = make(studio, TaskName.TEXT_TO_IMAGE, {"images": 2, "seed": largest})
    assert [output.seed for output in both.of_type(OutputReady)] == [largest, 0]
    assert both.outputs[1].content == make(studio, TaskName.TEXT_TO_IMAGE, {"seed": 0}).outputs[0].content


def test_work_begins_again_at_the_first_image_without_output(studio: Studio) -> None:
    driver = make(studio, TaskName.TEXT_TO_IMAGE, {"images": 3}, first_image=2)
    assert list(driver.outputs) == [2]
    assert driver.of_type(OutputReady)[0].seed == 7


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "blurred"},
        {"seed": 6},
        {"steps": 4},
        {"guidance_scale": 3.0},
        {"guidance_scale": 1.0},
        {"scheduler": "euler_ancestral"},
        {"noise_schedule": "karras"},
        {"scheduler": "ddim", "eta": 1.0},
        {"clip_skip": 1},
        {"width": 72},
        {"height": 72},
        {"model": "sdxl"},
    ],
    ids=lambda changed: "-".join(f"{name}={value}" for name, value in changed.items()),
)
def test_every_parameter_changes_the_picture(studio: Studio, changed: Mapping[str, Any]) -> None:
    usual = {"scheduler": "ddim"} if "eta" in changed else {}
    before = pixels(make(studio, TaskName.TEXT_TO_IMAGE, usual))
    after = pixels(make(studio, TaskName.TEXT_TO_IMAGE, {**usual, **changed}))
    assert before.shape != after.shape or not np.array_equal(before, after)


def test_a_negative_prompt_without_guidance_is_warned_of_and_changes_nothing(studio: Studio) -> None:
    driver = make(studio, TaskName.TEXT_TO_IMAGE, {"guidance_scale": 1.0, "negative_prompt": "blurred"})
    assert driver.warnings == ["negative_prompt_unused"]
    assert driver.outputs == make(studio, TaskName.TEXT_TO_IMAGE, {"guidance_scale": 1.0}).outputs


def test_previews_may_be_asked_larger(studio: Studio) -> None:
    for px in (64, 300):
        driver = make(studio, TaskName.TEXT_TO_IMAGE, {"preview_px": px})
        assert {max(picture.shape[:2]) for picture in driver.pictures} == {min(px, 256)}


def test_an_unknown_model_is_named(studio: Studio) -> None:
    with pytest.raises(EngineError, match="sd9") as error:
        make(studio, TaskName.TEXT_TO_IMAGE, {"model": "sd9"})
    assert error.value.code is ErrorCode.MODEL_MISSING


def test_an_inpainting_model_cannot_start_from_nothing(studio: Studio) -> None:
    with pytest.raises(EngineError, match="cannot make pictures from text alone") as error:
        make(studio, TaskName.TEXT_TO_IMAGE, {"model": "sd1_inpaint"})
    assert error.value.code is ErrorCode.INVALID_PARAMS


def test_a_picture_is_changed_the_more_the_higher_the_strength(studio: Studio, photo: Path) -> None:
    distances = []
    for strength in (0.0, 0.5, 1.0):
        made = make(studio, TaskName.IMAGE_TO_IMAGE, {"strength": strength, "steps": 6}, photo)
        assert pixels(made).shape == PHOTO.shape
        distances.append(len(made.of_type(StepFinished)))
    assert distances == [1, 3, 6]


def test_a_picture_is_brought_to_the_size_asked(studio: Studio, photo: Path) -> None:
    assert pixels(make(studio, TaskName.IMAGE_TO_IMAGE, {"width": 90, "height": 60}, photo)).shape == (60, 90, 3)


@pytest.mark.parametrize("model", ["sd1", "sd1_inpaint"])
@pytest.mark.parametrize("crop", [True, False])
def test_repainting_keeps_every_pixel_outside_the_mask(studio: Studio, photo: Path, model: str, crop: bool) -> None:
    params = {"model": model, "regions": [REGION], "crop": crop}
    made = pixels(make(studio, TaskName.INPAINT, params, photo))
    inside = np.zeros(PHOTO.shape[:2], np.bool_)
    inside[20:44, 30:60] = True
    assert np.array_equal(made[~inside], PHOTO[~inside])
    assert not np.array_equal(made[inside], PHOTO[inside])


@pytest.mark.parametrize(
    "changed",
    [
        {"strength": 0.5},
        {"grow_px": 6},
        {"mask_blur_px": 0},
        {"crop": False},
        {"crop_margin_px": 4},
        {"area": {"x": 20, "y": 10, "width": 50, "height": 50}},
        {"scale": 0.5},
        {"match_histograms": True},
    ],
    ids=str,
)
def test_every_parameter_of_repainting_changes_the_picture(
    studio: Studio, photo: Path, changed: Mapping[str, Any]
) -> None:
    before = make(studio, TaskName.INPAINT, {"regions": [REGION]}, photo)
    after = make(studio, TaskName.INPAINT, {"regions": [REGION], **changed}, photo)
    assert not np.array_equal(pixels(before), pixels(after))


def test_an_empty_mask_leaves_nothing_to_repaint(studio: Studio, photo: Path, tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.zeros(PHOTO.shape[:2], np.uint8))
    run = make_run(TaskName.INPAINT, {"prompt": "a cat"}, inputs={"image": photo, "mask": mask})
    with pytest.raises(EngineError, match="nothing to repaint"):
        drive(lambda run, context: inpaint(run, context, studio), run)


def test_a_larger_canvas_keeps_the_picture_but_for_its_rim(studio: Studio, photo: Path) -> None:
    made = pixels(make(studio, TaskName.OUTPAINT, {"left": 40, "bottom": 16, "overlap_px": 8}, photo))
    assert made.shape == (96, 152, 3)
    assert np.array_equal(made[:72, 48:], PHOTO[:72, 8:])
    assert not np.array_equal(made[:72, 40:48], PHOTO[:72, :8])


def test_a_rim_wider_than_the_picture_may_change_all_of_it(studio: Studio, photo: Path) -> None:
    made = pixels(make(studio, TaskName.OUTPAINT, {"left": 8, "right": 8, "overlap_px": 200}, photo))
    assert made.shape == (80, 128, 3)


def test_the_library_tells_the_families_of_what_it_found(studio: Studio) -> None:
    families = {"sd1": Family.SD1, "sd1_inpaint": Family.SD1_INPAINT, "sdxl": Family.SDXL}
    # Other tests have their models in the same folder.
    assert families.items() <= {model.name: model.family for model in studio.library.models}.items()
