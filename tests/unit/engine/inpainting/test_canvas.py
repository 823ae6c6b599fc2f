"""Holes are filled one after another, each from what is not to be erased itself."""

import numpy as np
import pytest

from engine import images, masks
from engine.images import Picture
from engine.inpainting.canvas import Canvas
from protocol.requests import FillMethod
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
def test_what_is_to_be_erased_is_never_copied_into_another_hole(method: FillMethod) -> None:
    canvas, _, mask = canvas_with_red_boxes(method)
    for index in range(canvas.holes):
        canvas.fill(index)
    redness = canvas.result().rgb[..., 0] - canvas.result().rgb[..., 1]
    assert canvas.holes == 3
    assert redness[mask].max() < 0.6


def test_pixels_beyond_the_feather_and_alpha_stay_exactly_as_they_were() -> None:
    canvas, picture, mask = canvas_with_red_boxes(FillMethod.PATCHMATCH, feather_px=3)
    for index in range(canvas.holes):
        canvas.fill(index)
    untouched = masks.feather(mask, 3) == 0
    assert (canvas.result().rgb[untouched] == picture.rgb[untouched]).all()
    assert canvas.result().alpha is picture.alpha


def test_filling_leaves_the_picture_it_was_given_alone() -> None:
    canvas, picture, mask = canvas_with_red_boxes(FillMethod.TELEA)
    canvas.fill(0)
    assert (picture.rgb[mask] == RED).all()


def test_the_shares_of_all_holes_are_the_whole_work() -> None:
    canvas, _, _ = canvas_with_red_boxes(FillMethod.TELEA)
    assert sum(canvas.share(index) for index in range(canvas.holes)) == pytest.approx(1)
