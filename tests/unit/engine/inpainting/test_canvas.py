"""Holes are filled one after another, each from what is not to be erased itself."""

import numpy as np
import pytest

from engine import images, masks
from engine.images import Picture
from engine.inpainting.canvas import Canvas
from protocol.editing import FillMethod
from tests.unit.engine.pictures import texture

RED = (1.0, 0.0, 0.0)


def canvas_with_red_boxes(method: FillMethod, feather_px: int = 2) -> tuple[Canvas, Picture, masks.Mask]:
    rgb = images.from_uint8(texture(120, 200))
    mask = np.zeros((120, 200), np.bool_)
    for left in (20, 80, 140):
        mask[40:80, left : left + 40] = True
    rgb[mask] = RED
    picture = Picture(rgb, np.linspace(0, 1, 24_000, dtype=np.float32).reshape(120, 200))
    groups = masks.groups(mask, join_px=4, most=9)
    return Canvas(picture, groups, method=method, feather_px=feather_px, seed=0), picture, mask


@pytest.mark.parametrize("method", [FillMethod.PATCHMATCH, FillMethod.TELEA, FillMethod.NAVIER_STOKES])
def test_what_is_to_be_erased_has_no_influence_on_another_hole(method: FillMethod) -> None:
    filled = []
    for colour in (RED, (0.0, 1.0, 0.0)):
        rgb = images.from_uint8(texture(60, 80))
        mask = np.zeros((60, 80), np.bool_)
        mask[20:40, 20:38] = mask[20:40, 40:58] = True  # two pixels apart: within reach of every method
        rgb[mask] = colour
        groups = masks.groups(mask, join_px=1, most=9)
        canvas = Canvas(Picture(rgb), groups, method=method, feather_px=0, seed=0)
        assert canvas.holes == 2
        canvas.fill(0)
        filled.append(canvas.result().rgb[20:40, 20:38])
    assert (filled[0] == filled[1]).all()


def test_pixels_beyond_the_feather_stay_exactly_as_they_were() -> None:
    canvas, picture, mask = canvas_with_red_boxes(FillMethod.PATCHMATCH, feather_px=3)
    for index in range(canvas.holes):
        canvas.fill(index)
    done, untouched = canvas.result(), masks.feather(mask, 3) == 0
    assert canvas.holes == 3
    assert (done.rgb[untouched] == picture.rgb[untouched]).all()
    assert done.alpha is not None
    assert picture.alpha is not None
    assert (done.alpha[untouched] == picture.alpha[untouched]).all()


def test_what_stood_on_nothing_leaves_nothing_behind() -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[20:40, 30:50] = True
    picture = Picture(images.from_uint8(texture(60, 80)), mask.astype(np.float32))
    groups = masks.groups(masks.grow(mask, 2), join_px=4, most=9)
    canvas = Canvas(picture, groups, method=FillMethod.PATCHMATCH, feather_px=1, seed=0)
    canvas.fill(0)
    done = canvas.result().alpha
    assert done is not None
    assert done.max() < 0.02
    assert picture.alpha is not None
    assert picture.alpha[mask].all()


def test_filling_leaves_the_picture_it_was_given_alone() -> None:
    canvas, picture, mask = canvas_with_red_boxes(FillMethod.TELEA)
    canvas.fill(0)
    assert (picture.rgb[mask] == RED).all()


def test_the_shares_of_all_holes_are_the_whole_work() -> None:
    canvas, _, _ = canvas_with_red_boxes(FillMethod.TELEA)
    assert sum(canvas.share(index) for index in range(canvas.holes)) == pytest.approx(1)
