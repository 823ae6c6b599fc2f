"""Of `engine.diffusion.canvas`."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.canvas import cut_out, resize, soft_inside
from engine.diffusion.sizes import Size, WorkingSize
from engine.images import Floats
from engine.masks import Box, Mask

WORKING = WorkingSize(64, 8)


@pytest.fixture
def photo() -> Floats:
    return np.random.default_rng(3).random((90, 140, 3), np.float32)


def square(x: int, y: int, side: int = 20) -> Mask:
    mask = np.zeros((90, 140), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


@given(st.integers(0, 120), st.integers(0, 70), st.integers(0, 12), st.one_of(st.none(), st.integers(0, 60)))
def test_every_pixel_outside_the_mask_keeps_its_value(x: int, y: int, blur: int, margin: int | None) -> None:
    photo = np.random.default_rng(x).random((90, 140, 3), np.float32)
    mask = square(x, y)
    canvas = cut_out(photo, mask, WORKING, margin_px=margin, blur_px=blur)
    pasted = canvas.pasted(np.ones((canvas.size.height, canvas.size.width, 3), np.float32))
    assert np.array_equal(pasted[~mask], photo[~mask])
    assert (pasted[mask] > photo[mask]).any()


def test_what_is_unmasked_is_not_kept_where_the_model_saw_it_if_it_need_not_be(photo: Floats) -> None:
    mask = square(40, 30)
    canvas = cut_out(photo, mask, WORKING, margin_px=8, blur_px=4, keeps_unmasked=False)
    pasted = canvas.pasted(np.ones((canvas.size.height, canvas.size.width, 3), np.float32))
    seen = np.zeros_like(mask)
    seen[canvas.box.slices] = True
    assert seen.sum() > mask.sum()
    assert (pasted[seen] == 1).all()
    assert np.array_equal(pasted[~seen], photo[~seen])


def test_a_hard_edge_repaints_the_whole_mask(photo: Floats) -> None:
    mask = square(40, 30)
    canvas = cut_out(photo, mask, WORKING, margin_px=8, blur_px=0)
    assert np.array_equal(
        canvas.pasted(np.ones((canvas.size.height, canvas.size.width, 3), np.float32))[mask], 1 - 0 * photo[mask]
    )


def test_a_soft_edge_rises_within_the_mask() -> None:
    weights = soft_inside(square(40, 30), 4)[40, 40:50]
    assert weights[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0], abs=0.01)
    assert weights[9] == 1


def test_the_edge_of_the_picture_is_no_edge_of_the_mask() -> None:
    assert soft_inside(square(0, 30), 4)[40, 0] == 1
    assert (soft_inside(np.ones((5, 5), np.bool_), 4) == 1).all()


def test_the_model_sees_the_mask_and_its_surroundings_at_its_own_size(photo: Floats) -> None:
    canvas = cut_out(photo, square(40, 30), WORKING, margin_px=10, blur_px=4)
    assert canvas.box == Box(30, 20, 40, 40)
    assert canvas.size == Size(64, 64)
    assert canvas.image.shape == (64, 64, 3)
    assert canvas.model_mask.shape == (64, 64)
    assert canvas.model_mask[32, 32] == 1
    assert canvas.model_mask[0, 0] == 0


def test_a_flat_mask_is_shown_with_enough_above_and_below(photo: Floats) -> None:
    mask = np.zeros((90, 140), np.bool_)
    mask[4:8, 10:130] = True
    box = cut_out(photo, mask, WORKING, margin_px=0, blur_px=4).box
    assert (box.x, box.y, box.width, box.height) == (10, 0, 120, 60)


def test_without_a_margin_the_model_sees_the_whole_picture(photo: Floats) -> None:
    canvas = cut_out(photo, square(40, 30), WORKING, margin_px=None, blur_px=4)
    assert canvas.box == Box(0, 0, 140, 90)
    assert canvas.size.area <= 1.5 * 64 * 64 * 1.1


def test_resizing_keeps_what_has_the_size_already(photo: Floats) -> None:
    assert resize(photo, Size(140, 90)) is photo
    assert resize(photo, Size(70, 45)).mean() == pytest.approx(photo.mean(), abs=0.01)


def test_a_soft_edge_outside_fades_into_the_picture_around_the_mask(photo: Floats) -> None:
    mask = square(40, 30)
    canvas = cut_out(photo, mask, WORKING, margin_px=None, blur_px=4, is_soft_outside=True)
    pasted = canvas.pasted(np.ones((canvas.size.height, canvas.size.width, 3), np.float32))
    assert (pasted[mask] == 1).all()
    expected = photo[40, 34:40] + np.array([0, 0, 0.2, 0.4, 0.6, 0.8], np.float32)[:, None] * (1 - photo[40, 34:40])
    assert pasted[40, 34:40] == pytest.approx(expected, abs=1e-5)


def test_an_enlarged_part_is_what_the_model_is_shown(photo: Floats) -> None:
    canvas = cut_out(photo, square(40, 30), WORKING, margin_px=8, blur_px=4)
    larger = np.full((100, 100, 3), 0.25, np.float32)
    assert np.allclose(replace(canvas, enlarged=larger).image, 0.25, atol=1e-4)


def test_a_share_of_the_picture_is_shown_in_blocks_of_the_models_own_area(photo: Floats) -> None:
    working = WorkingSize(512, 8)
    canvas = cut_out(photo, square(40, 30), working, margin_px=4, blur_px=4, share=0.5)
    assert canvas.box == Box(15, 5, 70, 70)
    assert canvas.size == Size(512, 512)
    whole = cut_out(photo, square(40, 30), working, margin_px=4, blur_px=4, share=1.0)
    assert whole.box == Box(0, 0, 140, 90)
    assert (whole.size.width % 32, whole.size.height % 32) == (0, 0)


def test_an_area_is_all_that_the_model_sees(photo: Floats) -> None:
    area = Box(30, 20, 50, 45)
    canvas = cut_out(photo, square(40, 30), WORKING, margin_px=4, blur_px=0, area=area)
    assert canvas.box == area
    assert canvas.size == Size(56, 48)
    pasted = canvas.pasted(np.ones((48, 56, 3), np.float32))
    assert np.array_equal(pasted[~square(40, 30)], photo[~square(40, 30)])


@pytest.mark.parametrize("margin", [None, 10])
def test_a_scale_shows_the_model_the_same_part_smaller(photo: Floats, margin: int | None) -> None:
    full = cut_out(photo, square(40, 30), WORKING, margin_px=margin, blur_px=4)
    half = cut_out(photo, square(40, 30), WORKING, margin_px=margin, blur_px=4, scale=0.5)
    assert half.box == full.box
    assert half.size.area < 0.4 * full.size.area


def test_colours_that_the_model_shifted_are_shifted_back_within_the_mask(photo: Floats) -> None:
    mask = square(40, 30)
    canvas = cut_out(photo, mask, WorkingSize(256, 2), margin_px=None, blur_px=0, matches_histograms=True)
    made = np.clip(resize(photo, canvas.size) * 0.7 + 0.2, 0, 1)
    assert np.abs(canvas.pasted(made)[mask] - photo[mask]).max() < 0.03
