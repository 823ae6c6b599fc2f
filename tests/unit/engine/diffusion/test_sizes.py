"""Of `engine.diffusion.sizes`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.sizes import Size, WorkingSize

SD1 = WorkingSize(512, 8)
TINY = WorkingSize(64, 16, is_fixed=True)
SIDES = st.integers(16, 4096)


def test_a_size_that_was_asked_for_is_made_up_to_the_next_multiple() -> None:
    assert SD1.exactly(Size(500, 1024)) == Size(504, 1024)


def test_a_model_of_one_size_makes_that_area_whatever_is_asked() -> None:
    assert TINY.exactly(Size(256, 256)) == Size(64, 64)
    assert TINY.exactly(Size(512, 128)) == Size(128, 32)
    assert TINY.at_most(Size(2000, 2000), 1.5) == Size(64, 64)


def test_a_small_picture_is_worked_on_as_it_is_and_a_large_one_made_smaller() -> None:
    assert SD1.at_most(Size(400, 300), 1.5) == Size(400, 304)
    large = SD1.at_most(Size(4000, 3000), 1.5)
    assert large.area == pytest.approx(1.5 * 512 * 512, rel=0.03)
    assert large.width / large.height == pytest.approx(4 / 3, rel=0.02)


@given(SIDES, SIDES)
def test_every_size_is_a_multiple_and_never_empty(width: int, height: int) -> None:
    for working in (SD1, TINY):
        asked = Size(width, height)
        for size in (working.exactly(asked), working.natively(asked), working.at_most(asked, 1.5)):
            assert size.width % working.multiple == size.height % working.multiple == 0
            assert size.width > 0
            assert size.height > 0


@given(SIDES, SIDES)
def test_the_native_size_keeps_the_sides_up_to_four_to_one(width: int, height: int) -> None:
    size = SD1.natively(Size(width, height))
    assert size.area == pytest.approx(512 * 512, rel=0.05)
    ratio = min(max(width / height, 0.25), 4.0)
    assert size.width / size.height == pytest.approx(ratio, rel=0.05)


XL = WorkingSize(1024, 8)


def side_px(size: Size) -> float:
    """Of the square of its area."""
    return float(size.area**0.5)


@pytest.mark.parametrize("asked", [Size(1000, 1000), Size(1152, 896), Size(2048, 2048), Size(1920, 1080)])
def test_a_size_between_one_and_two_native_sides_stays_as_it_is(asked: Size) -> None:
    assert XL.between(asked, 1, 2) == asked


@given(st.integers(64, 8000), st.integers(64, 8000))
def test_any_other_is_brought_there_with_its_sides_in_blocks(width: int, height: int) -> None:
    asked = Size(width, height)
    size = XL.between(asked, 1, 2)
    if size != asked:
        assert size.width % 64 == size.height % 64 == 0
    if max(width, height) <= 4 * min(width, height):
        assert 1024 - 64 < side_px(size) <= 2048
        assert size.width / size.height == pytest.approx(width / height, rel=0.2)


def test_a_block_is_a_sixteenth_of_the_native_side() -> None:
    assert [working.block_px for working in (XL, SD1, WorkingSize(768, 8), WorkingSize(64, 8))] == [64, 32, 48, 8]
    assert XL.in_blocks(Size(300, 200)) == Size(1280, 832)
    assert TINY.in_blocks(Size(300, 300)) == Size(64, 64)
