"""The sizes that `image_to_image` works at, and pictures that it enlarges first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from engine.diffusion.studio import Studio
from engine.tasks import image_to_image
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, make, pixels, studio_of
from tests.unit.engine.driver import Driver
from tests.unit.engine.pictures import save, texture
from tests.unit.engine.upscalers import Nearest, WithUpscaler

PHOTO: Final = texture(60, 100)


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    for name in ("sd1", "sdxl"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent, residency=WithUpscaler(Nearest()))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def change(studio: Studio, inputs: Mapping[str, Path], **params: Any) -> Driver:
    return make(studio, params, task=TaskName.IMAGE_TO_IMAGE, inputs=inputs)


def first(driver: Driver) -> Pixels:
    return pixels(driver.outputs[0].content)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((60, 100), (60, 100)),
        ((30, 50), (56, 88)),
        ((120, 200), (96, 160)),
        ((20, 400), (20, 400)),
    ],
)
def test_a_picture_is_brought_to_between_one_and_two_sides_of_the_models_square(
    studio: Studio, tmp_path: Path, given: tuple[int, int], made: tuple[int, int]
) -> None:
    inputs = {"image": save(tmp_path / "given.png", texture(*given))}
    driver = change(studio, inputs, size_rule="model")
    assert first(driver).shape[:2] == made
    (output,) = driver.of_type(OutputReady)
    assert abs(output.data["generated_height"] - made[0]) < 8
    assert abs(output.data["generated_width"] - made[1]) < 8
    assert first(change(studio, inputs)).shape[:2] == given


def test_an_enlarged_picture_is_made_anew_at_its_size_at_a_low_strength(
    studio: Studio, inputs: dict[str, Path]
) -> None:
    driver = change(studio, inputs, upscale=1.5, steps=10)
    assert first(driver).shape == (90, 150, 3)
    told = driver.of_type(StepFinished)
    assert [each.stage for each in told] == ["tile", *["denoise"] * 3]
    assert driver.progress == pytest.approx([0.2, *(0.2 + 0.8 * 0.95 * step / 3 for step in (1, 2, 3))])
    (output,) = driver.of_type(OutputReady)
    assert (output.data["generated_width"], output.data["generated_height"]) == (152, 96)
    stronger = change(studio, inputs, upscale=1.5, steps=10, strength=0.8)
    assert len(stronger.of_type(StepFinished)) == 1 + 8


@pytest.mark.parametrize(("asked", "taken"), [({}, "compact"), ({"upscale_model": "x4plus"}, "realesrgan-x4plus")])
def test_a_picture_is_enlarged_by_the_weights_that_are_asked_for(
    studio: Studio, inputs: dict[str, Path], asked: Mapping[str, Any], taken: str
) -> None:
    change(studio, inputs, upscale=1.5, steps=2, **asked)
    assert studio.residency.asked[-1] == taken  # type: ignore[attr-defined]  # it is a stand-in


def test_what_is_made_anew_is_the_picture_as_it_was_enlarged(studio: Studio, tmp_path: Path) -> None:
    inputs = {"image": save(tmp_path / "given.png", texture(40, 40))}
    larger = {"image": save(tmp_path / "larger.png", texture(40, 40).repeat(4, axis=0).repeat(4, axis=1))}
    about = {"strength": 0.4, "steps": 5}
    made = change(studio, inputs, upscale=4.0, **about)
    alike = change(studio, larger, width=160, height=160, **about)
    assert made.outputs[0].content == alike.outputs[0].content


def test_an_enlarged_picture_below_the_models_size_is_brought_to_it(studio: Studio, tmp_path: Path) -> None:
    small = {"image": save(tmp_path / "small.png", texture(15, 25))}
    assert first(change(studio, small, upscale=2.0)).shape[:2] == (56, 88)


def test_an_enlarged_picture_that_is_too_large_is_the_output_as_it_is(
    studio: Studio, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_to_image, "MOST_REDRAWN_PX", 300)
    driver = change(studio, inputs, upscale=4.0, images=2)
    assert driver.warnings == ["upscale_only"]
    assert {told.stage for told in driver.of_type(StepFinished)} == {"tile"}
    assert sorted(driver.outputs) == [0, 1]
    assert np.array_equal(first(driver), PHOTO.repeat(4, axis=0).repeat(4, axis=1))
    assert [told.data for told in driver.of_type(OutputReady)] == [{"model": "compact", "factor": 4.0}] * 2


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_the_vae_works_in_tiles_on_an_enlarged_picture_alone(
    studio: Studio, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(image_to_image, "TILE_PX", 64)
    whole = change(studio, inputs, model=model, width=152, height=96, strength=0.4)
    tiled = change(studio, inputs, model=model, upscale=1.5)
    assert (stages(whole, "encode"), stages(whole, "decode")) == (1, 1)
    # 152 x 96 px in tiles of 64, which overlap by a quarter.
    assert (stages(tiled, "encode"), stages(tiled, "decode")) == (8, 8)


def stages(driver: Driver, stage: str) -> int:
    return sum(call.stage == stage for call in driver.calls)


def test_all_steps_are_made_within_their_share_if_asked(studio: Studio, inputs: dict[str, Path]) -> None:
    about = {"strength": 0.382, "steps": 9}
    counted = [len(change(studio, inputs, **about, full_steps=full).of_type(StepFinished)) for full in (False, True)]
    assert counted == [3, 9]
    (output,) = change(studio, inputs, **about, full_steps=True).of_type(OutputReady)
    assert output.data["steps"] == 9
