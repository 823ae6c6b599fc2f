"""What `inpaint` does to the mask, shows the model, starts from and blends in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from engine import masks
from engine.diffusion.studio import Studio
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import Pixels, make, pixels, studio_of
from tests.unit.engine.driver import Driver
from tests.unit.engine.pictures import save
from tests.unit.engine.upscalers import Nearest, WithUpscaler

PHOTO: Final = np.random.default_rng(1).integers(1, 255, (80, 112, 3), np.uint8)
REGION: Final = {"x": 30, "y": 20, "width": 30, "height": 24}
WITHIN: Final = np.s_[20:44, 30:60]
HARD: Final = {"regions": [REGION], "mask_blur_px": 0}


@pytest.fixture(scope="module")
def upscaler() -> Nearest:
    return Nearest()


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder, upscaler: Nearest) -> Studio:
    for name in ("sd1", "sdxl", "sdxl_refiner", "sd3", "flux"):
        tiny_folder(name)
    return studio_of(tiny_folder("sd1").parent, residency=WithUpscaler(upscaler))


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"image": save(tmp_path / "photo.png", PHOTO)}


def repaint(studio: Studio, inputs: Mapping[str, Path], **params: Any) -> Driver:
    return make(studio, params, task=TaskName.INPAINT, inputs=inputs)


def drawn(studio: Studio, inputs: Mapping[str, Path], **params: Any) -> Pixels:
    return pixels(repaint(studio, inputs, **params).outputs[0].content)


def changed(picture: Pixels) -> Any:
    """(H, W): which pixels of the photo are others now."""
    return (picture != PHOTO).any(axis=2)


def region_mask() -> Any:
    mask = np.zeros((80, 112), np.bool_)
    mask[WITHIN] = True
    return mask


def agree(one: Any, other: Any) -> float:
    """Share of the pixels. What is painted may have a value that was there by chance."""
    return float((one == other).mean())


def test_a_mask_grown_by_less_than_nothing_is_narrower(studio: Studio, inputs: dict[str, Path]) -> None:
    seen = changed(drawn(studio, inputs, **HARD, grow_px=-4))
    expected = np.zeros((80, 112), np.bool_)
    expected[24:40, 34:56] = True
    assert not (seen & ~expected).any()
    assert agree(seen, expected) > 0.999


@pytest.mark.parametrize("shape", ["disc", "box"])
def test_a_mask_grows_by_a_disc_or_a_square(studio: Studio, inputs: dict[str, Path], shape: str) -> None:
    seen = changed(drawn(studio, inputs, **HARD, grow_px=8, grow_shape=shape))
    expected = masks.moved(region_mask(), 8, is_box=shape == "box")
    assert not (seen & ~expected).any()
    assert agree(seen, expected) > 0.999
    assert expected[12, 22] == (shape == "box")


def test_an_inverted_mask_keeps_what_it_covers_once_it_has_grown(studio: Studio, inputs: dict[str, Path]) -> None:
    seen = changed(drawn(studio, inputs, **HARD, grow_px=-4, invert_mask=True, crop=False))
    assert not seen[24:40, 34:56].any()
    assert seen[20:24].mean() > 0.99
    assert seen.mean() > 0.9


def test_a_mask_of_another_size_is_brought_to_that_of_the_image_if_asked(
    studio: Studio, inputs: dict[str, Path], tmp_path: Path
) -> None:
    mask = np.zeros((40, 56), np.uint8)
    mask[10:22, 15:30] = 255
    inputs["mask"] = save(tmp_path / "mask.png", mask)
    with pytest.raises(EngineError, match=r"mask: expected 112 x 80 px like the image, got 56 x 40"):
        drawn(studio, inputs, mask_blur_px=0)
    seen = changed(drawn(studio, inputs, mask_blur_px=0, fit_mask=True))
    assert agree(seen, region_mask()) > 0.999


def test_what_is_added_to_the_sides_is_repainted_with_the_mask(studio: Studio, inputs: dict[str, Path]) -> None:
    driver = repaint(studio, inputs, **HARD, left=16, top=8, bottom=24)
    made = pixels(driver.outputs[0].content)
    assert made.shape == (112, 128, 3)
    seen = changed(made[8:88, 16:])
    assert agree(seen, region_mask()) > 0.999
    edges = np.pad(PHOTO, ((8, 24), (16, 0), (0, 0)), mode="edge")
    assert (made != edges).any(axis=2)[:, :16].mean() > 0.99
    assert (made != edges).any(axis=2)[:8].mean() > 0.99
    assert (made != edges).any(axis=2)[88:].mean() > 0.99


def test_a_picture_with_a_side_added_is_laid_on_white(studio: Studio, tmp_path: Path) -> None:
    clear = np.dstack([PHOTO, np.zeros((80, 112), np.uint8)])
    given = {"image": save(tmp_path / "clear.png", clear)}
    assert (drawn(studio, given, right=8, mask_blur_px=0)[:, :112] == 255).all()
    kept = pixels(repaint(studio, given, **HARD).outputs[0].content)
    assert kept.shape == (80, 112, 4)
    assert (kept[..., 3] == 0).all()


def test_a_picture_that_would_become_too_large_is_refused(studio: Studio, tmp_path: Path) -> None:
    wide = {"image": save(tmp_path / "wide.png", np.zeros((2, 16_380, 3), np.uint8))}
    with pytest.raises(EngineError, match=r"at most 16384 px a side, got 16388 x 2") as refused:
        drawn(studio, wide, left=4, right=4)
    assert refused.value.code is ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize(("share", "size"), [(0.0, (64, 64)), (0.75, (64, 64)), (1.0, (72, 56))])
def test_the_model_is_shown_a_share_of_the_picture_in_its_own_area(
    studio: Studio, inputs: dict[str, Path], share: float, size: tuple[int, int]
) -> None:
    driver = repaint(studio, inputs, **HARD, context=share)
    (output,) = driver.of_type(OutputReady)
    shown = (output.data["generated_width"], output.data["generated_height"])
    assert shown == size
    assert agree(changed(pixels(driver.outputs[0].content)), region_mask()) > 0.999


def test_what_is_smaller_than_the_models_size_is_enlarged_by_real_esrgan_if_asked(
    studio: Studio, inputs: dict[str, Path], upscaler: Nearest
) -> None:
    upscaler.seen.clear()
    driver = repaint(studio, inputs, **HARD, context=0.0, upscale_model="x4plus")
    assert upscaler.seen == [(36, 36)]
    assert studio.residency.asked[-1] == "realesrgan-x4plus"  # type: ignore[attr-defined]  # it is a stand-in
    stages = [told.stage for told in driver.of_type(StepFinished)]
    assert stages == ["tile", "denoise", "denoise", "denoise"]
    assert driver.progress == sorted(driver.progress)
    repaint(studio, inputs, **HARD, context=1.0, upscale_model="x4plus")
    assert upscaler.seen == [(36, 36)], "the whole picture is larger than the model's size"


def test_the_model_starts_from_what_was_enlarged(studio: Studio, inputs: dict[str, Path]) -> None:
    about = {**HARD, "context": 0.0, "strength": 0.5, "steps": 4}
    plain, enlarged = (repaint(studio, inputs, **about, **more) for more in ({}, {"upscale_model": "compact"}))
    assert plain.outputs[0].content != enlarged.outputs[0].content


def test_a_filled_hole_says_nothing_of_what_was_in_it(studio: Studio, tmp_path: Path) -> None:
    square = PHOTO[:64, :64].copy()
    full = {"image": save(tmp_path / "full.png", square)}
    square[WITHIN] = 0
    emptied = {"image": save(tmp_path / "emptied.png", square)}
    about = {**HARD, "crop": False, "strength": 0.5, "steps": 4}
    assert np.array_equal(*(drawn(studio, given, **about, fill="blur")[WITHIN] for given in (full, emptied)))
    assert not np.array_equal(*(drawn(studio, given, **about)[WITHIN] for given in (full, emptied)))


def test_a_filled_hole_is_started_from_at_full_strength(studio: Studio, inputs: dict[str, Path]) -> None:
    plain, started, filled, both = (
        drawn(studio, inputs, **HARD, crop=False, **more)
        for more in ({}, {"start": "picture"}, {"fill": "blur"}, {"fill": "blur", "start": "picture"})
    )
    assert len({each.tobytes() for each in (plain, started, filled)}) == 3
    assert np.array_equal(filled, both)


def test_a_fill_that_nothing_starts_from_is_told_and_changes_nothing(studio: Studio, inputs: dict[str, Path]) -> None:
    told = repaint(studio, inputs, **HARD, fill="blur", start="noise")
    assert told.warnings == ["fill_unused"]
    assert told.outputs[0].content == repaint(studio, inputs, **HARD).outputs[0].content


@pytest.mark.parametrize("model", ["sd1", "sdxl", "sd3", "flux"])
def test_noise_is_started_from_at_any_strength(studio: Studio, inputs: dict[str, Path], model: str) -> None:
    about = {**HARD, "model": model, "strength": 0.5, "steps": 4, "crop": False}
    usual, alone = (repaint(studio, inputs, **about, **more) for more in ({}, {"start": "noise"}))
    assert usual.outputs[0].content != alone.outputs[0].content
    assert alone.warnings == []


def test_a_soft_edge_outside_changes_what_lies_around_the_mask(studio: Studio, inputs: dict[str, Path]) -> None:
    seen = changed(drawn(studio, inputs, regions=[REGION], mask_blur_px=5, soft_edge="outside"))
    near, far = masks.grow(region_mask(), 3), masks.grow(region_mask(), 6)
    assert seen[near].mean() > 0.99
    assert not seen[~far].any()
    inside = changed(drawn(studio, inputs, regions=[REGION], mask_blur_px=5))
    assert not inside[~region_mask()].any()


@pytest.mark.parametrize("model", ["sd1", "sdxl", "sd3", "flux"])
def test_all_steps_are_made_within_their_share_if_asked(studio: Studio, inputs: dict[str, Path], model: str) -> None:
    about = {**HARD, "model": model, "strength": 0.5, "steps": 6}
    counted = [len(repaint(studio, inputs, **about, full_steps=full).of_type(StepFinished)) for full in (False, True)]
    assert counted == [3, 6]


def test_with_a_refiner_all_steps_are_made_by_both_together(studio: Studio, inputs: dict[str, Path]) -> None:
    about = {"model": "sdxl", "refiner": "sdxl_refiner", "refiner_start": 0.75, "strength": 0.5, "steps": 8}
    driver = repaint(studio, inputs, **HARD, **about, full_steps=True)
    assert driver.warnings == []
    told = driver.of_type(StepFinished)
    assert [(each.step, each.steps) for each in told] == [(number, 8) for number in range(1, 9)]
