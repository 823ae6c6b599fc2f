"""Of `engine.diffusion.filling`."""

import numpy as np
import pytest

from engine.diffusion.filling import filled
from engine.images import Floats
from engine.masks import Mask


@pytest.fixture
def halves() -> Floats:
    """Dark on the left and light on the right, with grain."""
    grain = np.random.default_rng(1).normal(0, 0.02, (80, 120, 3))
    side = np.where(np.arange(120) < 60, 0.2, 0.8)[None, :, None]
    return np.clip(side + grain, 0, 1).astype(np.float32)


def hole(x: int, y: int, width: int, height: int) -> Mask:
    mask = np.zeros((80, 120), np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def test_what_is_known_keeps_its_value_and_what_was_in_the_hole_has_no_part_in_it(halves: Floats) -> None:
    mask = hole(30, 20, 60, 40)
    made = filled(halves, mask)
    assert np.array_equal(made[~mask], halves[~mask])
    other = halves.copy()
    other[mask] = 0
    assert np.array_equal(filled(other, mask), made)


def test_colours_flow_in_from_the_rim_nearest_to_them(halves: Floats) -> None:
    made = filled(halves, hole(30, 20, 60, 40))
    assert made[40, 32].mean() < 0.35
    assert made[40, 87].mean() > 0.65
    assert 0.35 < made[40, 60].mean() < 0.65


def test_a_filled_hole_has_no_grain_and_no_step(halves: Floats) -> None:
    middle = filled(halves, hole(30, 20, 60, 40))[25:55, 35:85].mean(axis=2)
    assert np.abs(np.diff(middle, axis=1)).max() < 0.06


def test_a_picture_without_a_hole_and_one_that_is_nothing_else_stay_as_they_are(halves: Floats) -> None:
    assert np.array_equal(filled(halves, np.zeros((80, 120), np.bool_)), halves)
    assert np.array_equal(filled(halves, np.ones((80, 120), np.bool_)), halves)
