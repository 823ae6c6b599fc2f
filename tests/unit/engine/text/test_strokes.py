"""Stroke masks cover the letters, and leave what they stand on."""

import numpy as np
import pytest

from engine import masks
from engine.masks import Mask
from engine.text.strokes import find_strokes
from tests.unit.engine.pictures import writing

AROUND = np.array([(60, 55), (360, 55), (360, 105), (60, 105)], np.float32)
HEIGHT_PX = 50.0


def strokes_of(image: np.ndarray, **options: int) -> Mask:
    mask = np.zeros(image.shape[:2], np.bool_)
    found = find_strokes(image, AROUND, HEIGHT_PX, **options)
    assert found is not None
    mask[found.box.slices] = found.mask
    return mask


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 220, 0), (220, 30, 30)])
def test_strokes_cover_every_pixel_of_the_letters_and_not_the_whole_box(colour: tuple[int, int, int]) -> None:
    clean, image = writing("Safelight 24", colour=colour)
    letters = np.abs(clean.astype(int) - image).sum(axis=2) > 12
    mask = strokes_of(image)
    assert letters.sum() > 1000
    assert mask[letters].all()
    assert mask.sum() < 0.75 * 300 * 50


def test_letters_are_found_where_the_background_comes_close_to_their_colour() -> None:
    clean, image = writing("HHHHHHHH")
    letters = np.abs(clean.astype(int) - image).sum(axis=2) > 250
    stripe = np.s_[:, 180:230]
    pale = image.copy()
    pale[stripe] = np.where(letters[stripe][..., None], image[stripe], np.uint8(222))
    assert letters[stripe].sum() > 200
    assert strokes_of(pale)[stripe][letters[stripe]].all()


def test_growth_is_what_was_asked_for() -> None:
    _, image = writing("Safelight 24")
    bare = strokes_of(image, grow_px=0)
    assert (strokes_of(image, grow_px=3) == masks.grow(bare, 3))[2:-2, 2:-2].all()
    assert bare.sum() < strokes_of(image, grow_px=3).sum()


def test_a_panel_as_tight_as_the_line_is_background() -> None:
    _, image = writing("PANEL", colour=(0, 0, 0))
    # Red all around a white panel that ends where the line's rectangle does; the letters are black.
    signed = np.full_like(image, (200, 30, 30))
    signed[55:106, 60:361] = np.where(image[55:106, 60:361].max(axis=2, keepdims=True) < 30, 0, 240)
    mask = strokes_of(signed)
    assert mask[70:90, 150:270].any()
    assert not mask[:, :100].any()
    assert not mask[:, 320:].any()


def test_writing_that_does_not_stand_out_is_covered_whole() -> None:
    flat = np.full((160, 420, 3), 128, np.uint8)
    assert strokes_of(flat)[56:105, 61:360].all()


def test_a_line_outside_the_picture_has_no_strokes() -> None:
    assert find_strokes(np.zeros((20, 20, 3), np.uint8), AROUND, HEIGHT_PX) is None
