"""1 repaints, 0 keeps: from files and regions to exact blending."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from engine import masks
from engine.interface import EngineError
from engine.masks import Box, Mask
from protocol.errors import ErrorCode
from protocol.params import Region
from tests.unit.engine.pictures import png

SMALL_MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def spots(*places: tuple[int, int], size: tuple[int, int] = (20, 30)) -> Mask:
    mask = np.zeros(size, np.bool_)
    for y, x in places:
        mask[y, x] = True
    return mask


def test_white_is_one_and_the_middle_is_the_border() -> None:
    assert masks.decode(png(np.array([[0, 127, 128, 255]], np.uint8))).tolist() == [[False, False, True, True]]


def test_a_mask_that_is_all_one_colour_speaks_through_its_alpha() -> None:
    for level in (0, 255):
        pixels = np.full((1, 2, 4), level, np.uint8)
        pixels[0, :, 3] = (0, 255)
        assert masks.decode(png(pixels)).tolist() == [[False, True]]


def test_alpha_has_no_say_where_the_colours_differ() -> None:
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[0, 0] = (255, 255, 255, 10)
    pixels[0, 1] = (0, 0, 0, 255)
    assert masks.decode(png(pixels)).tolist() == [[True, False]]


@pytest.mark.parametrize("colour", [(2, 209, 37), (13, 210, 3), (28, 201, 10)])
def test_a_colour_half_way_to_white_is_one_where_picture_editors_round_it_up(colour: tuple[int, int, int]) -> None:
    assert Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)) == 128
    assert masks.decode(png(np.full((2, 2, 3), colour, np.uint8))).all()


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(
        EngineError, match=r"mask: expected 5 x 4 px like the image, got 3 x 2 at \$\.params\.mask"
    ) as caught:
        masks.for_picture(png(np.zeros((2, 3), np.uint8)), 5, 4)
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_regions_are_cut_off_at_the_edges_of_the_picture() -> None:
    regions = [Region(x=-5, y=-5, width=7, height=6), Region(x=100, y=0, width=5, height=5)]
    mask = masks.from_regions(regions, 10, 8)
    assert mask[0, :2].all()
    assert mask.sum() == 2


@given(mask=SMALL_MASKS, by_px=st.integers(0, 6))
def test_growing_adds_exactly_what_lies_within_the_distance(mask: Mask, by_px: int) -> None:
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    expected = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        expected |= (y - row) ** 2 + (x - column) ** 2 <= by_px**2
    assert (masks.grow(mask, by_px) == expected).all()


@given(mask=SMALL_MASKS, width_px=st.integers(0, 5))
def test_a_feather_is_one_on_the_mask_and_zero_beyond_its_width(mask: Mask, width_px: int) -> None:
    weights = masks.feather(mask, width_px)
    assert (weights[mask] == 1).all()
    assert (weights[~masks.grow(mask, width_px + 1)] == 0).all()
    assert ((weights >= 0) & (weights <= 1)).all()
    if width_px == 0:
        assert (weights == mask).all()


@given(mask=SMALL_MASKS, feather_px=st.integers(0, 4))
def test_pasting_back_keeps_every_pixel_the_feather_does_not_reach(mask: Mask, feather_px: int) -> None:
    lots = np.random.default_rng(0)
    original = lots.random((*mask.shape, 3), np.float32)
    patch = lots.random((*mask.shape, 3), np.float32)
    blended = masks.paste_back(original, patch, mask, feather_px=feather_px)
    assert (blended[mask] == patch[mask]).all()
    untouched = masks.feather(mask, feather_px) == 0
    assert (blended[untouched] == original[untouched]).all()


def test_pasting_back_pictures_of_different_sizes_is_refused() -> None:
    picture = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(masks.ShapeMismatch):
        masks.paste_back(picture, picture[:3], np.zeros((4, 4), np.bool_))


@given(mask=SMALL_MASKS, join_px=st.integers(0, 5), most=st.integers(1, 5))
def test_groups_are_the_mask_without_gap_or_overlap_and_not_too_many(mask: Mask, join_px: int, most: int) -> None:
    found = masks.groups(mask, join_px=join_px, most=most)
    total = np.zeros(mask.shape, int)
    for group in found:
        assert group.mask.shape == (group.box.height, group.box.width)
        assert masks.bounds(group.mask) == Box(0, 0, group.box.width, group.box.height)
        total[group.box.slices] += group.mask
    assert (total == mask).all()
    assert len(found) <= most


def test_only_parts_further_apart_than_asked_are_separate_groups() -> None:
    mask = spots((2, 2), (2, 8))
    assert len(masks.groups(mask, join_px=6, most=9)) == 1
    assert len(masks.groups(mask, join_px=3, most=9)) == 2


def test_a_group_holds_nothing_of_another_inside_its_box() -> None:
    mask = np.ones((21, 21), np.bool_)
    mask[2:19, 2:19] = False
    mask[10, 10] = True
    ring, dot = masks.groups(mask, join_px=2, most=9)
    assert (ring.box, dot.box) == (Box(0, 0, 21, 21), Box(10, 10, 1, 1))
    assert not ring.mask[10, 10]


def test_a_crop_around_the_mask_stays_inside_the_picture() -> None:
    assert masks.crop_around(spots((1, 28)), 5) == Box(23, 0, 7, 7)
    assert masks.crop_around(spots(), 5) is None


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_thickness_is_the_width_of_a_stroke(width: int) -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[5:35, 20 : 20 + width] = True
    assert abs(masks.thickness(mask) - width) <= 1


def test_a_mask_of_another_size_is_brought_to_that_of_the_picture_if_it_may() -> None:
    small = np.zeros((4, 6), np.uint8)
    small[1:3, 2:5] = 255
    fitted = masks.for_picture(png(small), 60, 40, fits=True)
    expected = np.kron(small > 0, np.ones((10, 10), np.bool_))
    assert (fitted != expected).mean() < 0.02
    assert np.array_equal(masks.for_picture(png(expected.astype(np.uint8) * 255), 6, 4, fits=True), small > 0)


@pytest.mark.parametrize("is_box", [False, True])
def test_an_edge_that_moves_inwards_is_one_that_moves_outwards_of_what_is_not_masked(is_box: bool) -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[5:25, 0:20] = True
    inwards = masks.moved(mask, -3, is_box=is_box)
    assert np.array_equal(inwards, ~masks.moved(~mask, 3, is_box=is_box))
    assert inwards[8:22, 0:17].all(), "the edge of the picture does not move"
    assert inwards.sum() == 14 * 17
    assert np.array_equal(masks.moved(mask, 0, is_box=is_box), mask)


def test_a_square_grows_corners_into_corners() -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[10:15, 10:15] = True
    assert masks.moved(mask, 4, is_box=True)[6:19, 6:19].all()
    assert not masks.moved(mask, 4)[6, 6]
