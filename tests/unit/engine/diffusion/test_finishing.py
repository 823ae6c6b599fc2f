"""Pictures that are looked at before they are kept."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.diffusion.studio import Studio
from engine.interface import EngineError
from engine.models.residency import Residency
from engine.tasks import image_to_image
from protocol.errors import ErrorCode
from protocol.events import JobWarning, OutputReady, StepFinished
from protocol.requests import TaskName
from service.recipes import read_recipe
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import make, pixels, studio_of
from tests.unit.engine.driver import Driver
from tests.unit.engine.safety.stand_in import lay_stand_in
from tests.unit.engine.upscalers import Nearest, WithUpscaler, WithUpscalerAndChecker

REPAINT: dict[str, Any] = {
    "model": "sd1_inpaint",
    "regions": [{"x": 4, "y": 4, "width": 16, "height": 16}],
    "crop": False,
    "steps": 2,
    "deterministic": True,
}
"""The corner that the small network judges by keeps its value."""


@pytest.fixture
def studio(tiny_folder: TinyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """With a network that finds light pictures unsafe."""
    tiny_folder("sd1_inpaint")
    lay_stand_in(tmp_path, monkeypatch)
    return studio_of(tiny_folder("sd1").parent, residency=Residency(tmp_path, "cpu"))


def repainted(studio: Studio, tmp_path: Path, grey: int, **more: Any) -> Driver:
    photo = tmp_path / f"{grey}.png"
    Image.fromarray(np.full((64, 64, 3), grey, np.uint8)).save(photo)
    return make(studio, {**REPAINT, "safety_check": True, **more}, task=TaskName.INPAINT, inputs={"image": photo})


def test_an_unsafe_picture_becomes_black_and_it_is_said(studio: Studio, tmp_path: Path) -> None:
    driver = repainted(studio, tmp_path, 255)
    assert not pixels(driver.outputs[0].content).any()
    (warning,) = driver.of_type(JobWarning)
    assert warning.code == "censored"
    (ready,) = driver.of_type(OutputReady)
    assert ready.data is not None
    assert ready.data["is_censored"] is True


def test_a_safe_picture_stays_as_it_is(studio: Studio, tmp_path: Path) -> None:
    checked = repainted(studio, tmp_path, 0)
    unchecked = repainted(studio, tmp_path, 0, safety_check=False)
    assert checked.outputs[0].content == unchecked.outputs[0].content
    assert checked.of_type(JobWarning) == []
    (ready,) = checked.of_type(OutputReady)
    assert ready.data is not None
    assert ready.data["is_censored"] is False


@pytest.mark.parametrize("grey", [0, 255])
def test_no_preview_shows_what_was_not_looked_at(studio: Studio, tmp_path: Path, grey: int) -> None:
    driver = repainted(studio, tmp_path, grey)
    assert len(driver.of_type(StepFinished)) == 2
    (preview,) = driver.pictures
    assert np.array_equal(preview, pixels(driver.outputs[0].content))


def test_a_black_picture_says_what_it_was_made_with_all_the_same(studio: Studio, tmp_path: Path) -> None:
    driver = repainted(studio, tmp_path, 255, metadata="a1111")
    assert "Seed: 5" in Image.open(io.BytesIO(driver.outputs[0].content)).info["parameters"]


def test_without_a_network_the_job_fails_before_its_first_step(tiny_folder: TinyFolder, tmp_path: Path) -> None:
    tiny_folder("sd1_inpaint")
    studio = studio_of(tiny_folder("sd1").parent, residency=Residency(tmp_path, "cpu"))
    with pytest.raises(EngineError) as refused:
        repainted(studio, tmp_path, 0)
    assert refused.value.code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize(("grey", "is_censored"), [(0, False), (255, True)])
def test_a_picture_that_is_enlarged_only_is_looked_at_too(
    tiny_folder: TinyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grey: int, is_censored: bool
) -> None:
    monkeypatch.setattr(image_to_image, "MOST_REDRAWN_PX", 30)
    lay_stand_in(tmp_path, monkeypatch)
    folder = tiny_folder("sd1").parent
    studio = studio_of(folder, residency=WithUpscalerAndChecker(Nearest(), tmp_path))
    photo = tmp_path / "photo.png"
    Image.fromarray(np.full((16, 16, 3), grey, np.uint8)).save(photo)
    asked = {"upscale": 4.0, "images": 2, "safety_check": True}
    driver = make(studio, asked, task=TaskName.IMAGE_TO_IMAGE, inputs={"image": photo})
    assert [ready.data["is_censored"] for ready in driver.of_type(OutputReady) if ready.data] == [is_censored] * 2
    assert not pixels(driver.outputs[1].content).any()
    assert driver.pictures == []
    codes = [warning.code for warning in driver.of_type(JobWarning)]
    assert codes == ["upscale_only", *(["censored"] if is_censored else [])]


def test_a_picture_that_is_enlarged_only_says_what_enlarged_it(
    tiny_folder: TinyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_to_image, "MOST_REDRAWN_PX", 30)
    studio = studio_of(tiny_folder("sd1").parent, residency=WithUpscaler(Nearest()))
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(photo)
    asked = {"upscale": 4.0, "images": 2, "metadata": "a1111"}
    driver = make(studio, asked, task=TaskName.IMAGE_TO_IMAGE, inputs={"image": photo})
    assert driver.warnings == ["upscale_only"]
    found = read_recipe(driver.outputs[1].content).recipe
    assert found is not None
    assert (found.upscaler, found.upscale_factor, found.width) == ("compact", 4.0, 64)
    (first, _) = driver.of_type(OutputReady)
    assert first.data == {"model": "compact", "factor": 4.0}
