"""Of `engine.diffusion.surroundings`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import masks
from engine.diffusion.surroundings import with_margin, with_share
from engine.masks import Box, Mask


def spot(x: int, y: int, width: int, height: int) -> Mask:
    mask = np.zeros((90, 140), np.bool_)
    mask[y : y + height, x : x + width] = True
    return mask


def test_the_square_around_a_mask_is_wider_than_its_longer_side_by_15_percent() -> None:
    assert with_share(spot(50, 35, 40, 10), 0) == Box(47, 17, 46, 46)


def test_a_square_is_cut_off_where_the_picture_ends() -> None:
    assert with_share(spot(0, 35, 40, 10), 0) == Box(0, 17, 43, 46)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_both_sides_are_grown_to_their_share_and_no_further_than_a_square_needs(share: float) -> None:
    box = with_share(spot(60, 40, 10, 10), share)
    assert box.width >= share * 140
    assert box.height >= share * 90
    assert box.width <= share * 140 + 2
    assert box.height == min(90, box.width)


def test_the_shorter_side_grows_first() -> None:
    # 60 wide and 20 high, once the edges of the picture have cut it.
    mask = spot(40, 0, 60, 4)
    box = with_share(mask, 0)
    assert (box.width, box.height) == (70, 37)
    grown = with_share(mask, 0.5)
    assert (grown.width, grown.height) == (70, 45)


def test_all_of_the_picture_is_its_whole_share() -> None:
    assert with_share(spot(3, 4, 5, 6), 1) == Box(0, 0, 140, 90)


@given(
    st.integers(0, 130), st.integers(0, 80), st.integers(1, 140), st.integers(1, 90), st.floats(0, 1, allow_nan=False)
)
def test_the_mask_lies_within_what_is_shown_and_that_in_the_picture(
    x: int, y: int, width: int, height: int, share: float
) -> None:
    mask = spot(x, y, width, height)
    box = with_share(mask, share)
    bounds = masks.bounds(mask)
    assert bounds is not None
    assert 0 <= box.x <= bounds.x
    assert 0 <= box.y <= bounds.y
    assert bounds.x + bounds.width <= box.x + box.width <= 140
    assert bounds.y + bounds.height <= box.y + box.height <= 90
    assert box.width >= share * 140
    assert box.height >= share * 90


def test_a_margin_gives_a_flat_mask_enough_above_and_below() -> None:
    assert with_margin(spot(10, 4, 120, 4), 0) == Box(10, 0, 120, 60)
