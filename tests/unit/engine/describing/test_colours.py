import numpy as np
import pytest

from engine.describing.colours import main_colours


def plain(*values, height=40, width=60):
    """Stripes of equal width."""
    stripes = [np.full((height, width // len(values), 3), value, np.float32) / 255 for value in values]
    return np.concatenate(stripes, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "grey"),
        ((220, 20, 30), "red"),
        ((30, 80, 210), "blue"),
        ((40, 160, 60), "green"),
        ((250, 225, 40), "yellow"),
        ((245, 130, 25), "orange"),
        ((100, 65, 35), "brown"),
    ],
)
def test_a_plain_picture_is_one_colour_by_its_plain_name(value, name):
    (colour,) = main_colours(plain(value))
    assert (colour.name, colour.share) == (name, 1.0)
    told = [int(colour.value[place : place + 2], 16) for place in (1, 3, 5)]
    assert np.abs(np.array(told) - value).max() <= 2


def test_shares_are_those_of_the_picture_and_the_largest_comes_first():
    picture = plain((220, 20, 30), (30, 80, 210), (30, 80, 210))
    first, second = main_colours(picture)
    assert (first.name, second.name) == ("blue", "red")
    assert first.share == pytest.approx(2 / 3, abs=0.05)
    assert second.share == pytest.approx(1 / 3, abs=0.05)


def test_two_shades_of_one_colour_are_told_once():
    (colour,) = main_colours(plain((30, 80, 210), (45, 95, 190)))
    assert (colour.name, colour.share) == ("blue", 1.0)


def test_a_colour_of_a_few_pixels_is_no_main_colour():
    picture = plain((255, 255, 255))
    picture[:4, :4] = (1, 0, 0)
    assert [colour.name for colour in main_colours(picture)] == ["white"]


def test_the_same_picture_gives_the_same_colours():
    picture = np.random.default_rng(0).random((50, 50, 3)).astype(np.float32)
    assert main_colours(picture) == main_colours(picture)


def test_a_picture_of_one_pixel_has_a_colour():
    assert [colour.name for colour in main_colours(plain((0, 0, 0), height=1, width=1))] == ["black"]
