"""Icons in other colours."""

import numpy as np
import pytest

from training.spark.recolour import Pixels, recolour, to_hsv, to_rgb
from training.spark.words import COLOURS


def flat(*colours: tuple[int, int, int]) -> Pixels:
    """Vertical stripes of equal width, with an invisible column at the left."""
    icon = np.zeros((20, 20, 4), np.uint8)
    width = 18 // len(colours)
    for number, colour in enumerate(colours):
        icon[:, 1 + number * width : 1 + (number + 1) * width] = (*colour, 255)
    return icon


def test_hsv_and_back_is_the_identity() -> None:
    rgb = np.random.default_rng(1).random((50, 50, 3)).astype(np.float32)
    np.testing.assert_allclose(to_rgb(*to_hsv(rgb)), rgb, atol=1e-5)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("before", [(230, 30, 30), (20, 120, 200), (250, 220, 60)])
def test_a_plain_icon_takes_the_colour_asked_for(before: tuple[int, int, int], name: str) -> None:
    coloured = recolour(flat(before), COLOURS[name])
    assert coloured is not None
    np.testing.assert_allclose(coloured[5, 10, :3], COLOURS[name], atol=4)


def test_other_colours_and_the_outline_stay() -> None:
    icon = flat((230, 30, 30), (230, 30, 30), (230, 30, 30), (30, 160, 60), (20, 20, 20))
    coloured = recolour(icon, COLOURS["blue"])
    assert coloured is not None
    np.testing.assert_allclose(coloured[5, 12, :3], (30, 160, 60), atol=2)
    np.testing.assert_allclose(coloured[5, 15, :3], (20, 20, 20), atol=2)
    np.testing.assert_array_equal(coloured[..., 3], icon[..., 3])


def test_shading_is_kept() -> None:
    coloured = recolour(flat((230, 30, 30), (230, 30, 30), (150, 20, 20)), COLOURS["green"])
    assert coloured is not None
    assert int(coloured[5, 14, 1]) < int(coloured[5, 3, 1]) - 30


def test_an_icon_of_many_colours_is_left_alone() -> None:
    icon = flat((230, 30, 30), (30, 200, 60), (30, 60, 220))
    assert recolour(icon, COLOURS["pink"]) is None


def test_a_grey_icon_is_tinted_and_a_black_one_is_not() -> None:
    tinted = recolour(flat((220, 220, 220)), COLOURS["red"])
    assert tinted is not None
    np.testing.assert_allclose(tinted[5, 5, :3], COLOURS["red"], atol=4)
    assert recolour(flat((20, 20, 20)), COLOURS["red"]) is None


def test_nothing_at_all_has_no_colour() -> None:
    assert recolour(np.zeros((8, 8, 4), np.uint8), COLOURS["red"]) is None
