"""What a model is shown of large pictures, and what is pasted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images import Bytes
from engine.inpainting.hd_strategy import HdOptions, Part, crop_box, finish, parts, prepare
from engine.inpainting.lama import LAMA
from engine.inpainting.migan import MIGAN
from engine.masks import Box
from protocol.erasing import HdStrategy
from tests.unit.engine.pictures import texture

CROP = HdOptions(strategy=HdStrategy.CROP, crop_trigger_px=100, crop_margin_px=8)
RESIZE = HdOptions(strategy=HdStrategy.RESIZE, resize_limit_px=64)


def mask_of(height: int, width: int, *boxes: Box) -> Bytes:
    mask = np.zeros((height, width), np.uint8)
    for box in boxes:
        mask[box.slices] = 255
    return mask


def run(image: Bytes, mask: Bytes, made: int, hd: HdOptions, spec: object = LAMA) -> Bytes:
    """The picture after a model that paints everything in one grey."""
    now = image.copy()
    for part in parts(mask, spec, hd):  # type: ignore[arg-type]
        shown = prepare(image, mask, part, spec)  # type: ignore[arg-type]
        result = np.full_like(shown.image, made)
        now[part.box.slices] = finish(result, shown, image, mask, part, keep_unmasked=hd.keep_unmasked)
    return now


def test_original_shows_the_whole_picture_whatever_its_size() -> None:
    mask = mask_of(300, 900, Box(10, 10, 5, 5))
    assert parts(mask, LAMA, HdOptions(strategy=HdStrategy.ORIGINAL)) == (Part(box=Box(0, 0, 900, 300)),)


@pytest.mark.parametrize("hd", [CROP, RESIZE])
def test_a_picture_of_the_very_size_of_the_limit_is_shown_whole(hd: HdOptions) -> None:
    side = hd.crop_trigger_px if hd is CROP else hd.resize_limit_px
    whole = Part(box=Box(0, 0, side, 20))
    assert parts(mask_of(20, side, Box(3, 3, 4, 4)), LAMA, hd) == (whole,)
    assert parts(mask_of(20, side + 1, Box(3, 3, 4, 4)), LAMA, hd) != (replace(whole, box=Box(0, 0, side + 1, 20)),)


def test_each_connected_part_of_the_mask_is_shown_with_its_margin() -> None:
    mask = mask_of(200, 200, Box(50, 60, 11, 7), Box(120, 130, 10, 8))
    assert {part.box for part in parts(mask, LAMA, CROP)} == {Box(42, 52, 27, 23), Box(112, 122, 26, 24)}


def test_a_hole_in_a_part_of_the_mask_is_no_part_of_its_own() -> None:
    mask = mask_of(200, 200, Box(50, 50, 40, 40))
    mask[60:70, 60:70] = 0
    assert len(parts(mask, LAMA, CROP)) == 1


def test_a_margin_that_does_not_fit_is_given_to_the_other_side() -> None:
    assert crop_box(Box(0, 190, 10, 10), 8, 200, 200) == Box(0, 174, 26, 26)


@given(
    x=st.integers(0, 99), y=st.integers(0, 79), width=st.integers(1, 100), height=st.integers(1, 80),
    margin=st.integers(0, 200),
)  # fmt: skip
def test_a_crop_holds_its_part_and_lies_within_the_picture(
    x: int, y: int, width: int, height: int, margin: int
) -> None:
    box = Box(x, y, min(width, 100 - x), min(height, 80 - y))
    crop = crop_box(box, margin, 100, 80)
    assert 0 <= crop.x <= box.x
    assert 0 <= crop.y <= box.y
    assert box.x + box.width <= crop.x + crop.width <= 100
    assert box.y + box.height <= crop.y + crop.height <= 80
    assert crop.width == min(box.width + 2 * margin, 100)


@pytest.mark.parametrize("margin_px", [0, 3, 500])
def test_cropping_paints_all_that_is_masked_and_nothing_else(margin_px: int) -> None:
    image = texture(150, 150)
    mask = mask_of(150, 150, Box(0, 0, 7, 5), Box(50, 60, 11, 7), Box(60, 72, 1, 1), Box(139, 149, 11, 1))
    after = run(image, mask, 7, replace(CROP, crop_margin_px=margin_px))
    assert (after[mask > 0] == 7).all()
    assert np.array_equal(after[mask == 0], image[mask == 0])


def test_every_crop_shows_the_picture_as_it_was_given() -> None:
    image = texture(150, 150)
    mask = mask_of(150, 150, Box(50, 60, 10, 10), Box(62, 60, 10, 10))
    shown = [prepare(image, mask, part, LAMA) for part in parts(mask, LAMA, CROP)]
    assert len(shown) == 2
    for each, part in zip(shown, parts(mask, LAMA, CROP), strict=True):
        assert np.array_equal(each.image[: each.height, : each.width], image[part.box.slices])
        assert (each.mask[: each.height, : each.width] == mask[part.box.slices]).all()


def test_without_keeping_a_crop_is_pasted_as_the_model_made_it() -> None:
    image = texture(150, 150)
    after = run(image, mask_of(150, 150, Box(50, 60, 10, 10)), 7, replace(CROP, keep_unmasked=False))
    assert (after[52:78, 42:68] == 7).all()
    assert np.array_equal(after[:52], image[:52])


@pytest.mark.parametrize("keep_unmasked", [True, False])
def test_resizing_paints_nothing_but_what_is_masked(keep_unmasked: bool) -> None:
    image, mask = texture(90, 150), mask_of(90, 150, Box(50, 30, 40, 30))
    after = run(image, mask, 7, replace(RESIZE, keep_unmasked=keep_unmasked))
    assert np.array_equal(after[mask == 0], image[mask == 0])
    assert (after[40:50, 60:80] == 7).all()


def test_resizing_never_leaves_the_range_of_what_it_enlarges() -> None:
    image, mask = np.full((90, 150, 3), 255, np.uint8), mask_of(90, 150, Box(50, 30, 40, 30))
    after = run(image, mask, 0, RESIZE).astype(int)
    # Along a line from the middle of the hole outwards it only gets lighter, but for the cubic's small ringing.
    assert (np.diff(after[45, 70:95, 0]) >= -4).all()


def test_a_line_thinner_than_the_gaps_of_the_reduction_is_still_masked() -> None:
    image, mask = texture(200, 1000), mask_of(200, 1000, Box(500, 0, 1, 200))
    (part,) = parts(mask, LAMA, RESIZE)
    shown = prepare(image, mask, part, LAMA)
    assert shown.mask[: shown.height, : shown.width].any()


def test_models_that_crop_themselves_ignore_the_strategy_and_see_at_most_512() -> None:
    mask = mask_of(900, 900, Box(100, 100, 500, 400), Box(800, 800, 10, 10))
    found = parts(mask, MIGAN, HdOptions(strategy=HdStrategy.ORIGINAL, crop_margin_px=2))
    assert {part.box for part in found} == {Box(0, 0, 756, 656), Box(634, 634, 266, 266)}
    for part in found:
        shown = prepare(texture(900, 900), mask, part, MIGAN)
        assert shown.image.shape == (512, 512, 3)
        assert max(shown.width, shown.height) <= 512
    assert parts(mask_of(512, 512, Box(0, 0, 3, 3)), MIGAN, CROP) == (Part(box=Box(0, 0, 512, 512)),)


def test_models_that_crop_themselves_paint_only_what_is_masked() -> None:
    image, mask = texture(700, 900), mask_of(700, 900, Box(100, 100, 500, 400))
    after = run(image, mask, 7, HdOptions(keep_unmasked=False), MIGAN)
    assert np.array_equal(after[mask == 0], image[mask == 0])
    assert (after[mask > 0] == 7).all()
