"""Taking a face out of a picture, upright, and laying it back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.images import from_uint8
from engine.plugins import alignment
from tests.unit.engine.pictures import texture

EYES_AND_MOUTH = np.array([[193, 240], [319, 240], [257, 314], [201, 371], [313, 371]], np.float32)


def points(scale: float, turn: float, across: float, down: float) -> NDArray[np.float32]:
    """Those of a face, smaller, turned and moved."""
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    placed: NDArray[np.float32] = (EYES_AND_MOUTH @ turned.T * scale + (across, down)).astype(np.float32)
    return placed


@pytest.mark.parametrize(("scale", "turn"), [(0.25, 0.0), (0.3, 0.5), (1.0, -0.2)])
def test_the_points_of_a_face_come_to_where_the_networks_have_them(scale: float, turn: float) -> None:
    given = points(scale, turn, 30, 20)
    matrix = alignment.placement(given)
    assert matrix is not None
    placed = given @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(placed - EYES_AND_MOUTH).max() < 2


def test_a_face_that_was_not_changed_leaves_the_picture_as_it_was() -> None:
    image = np.repeat(np.repeat(texture(60, 80), 4, axis=0), 4, axis=1)  # smooth enough to survive being turned
    matrix = alignment.placement(points(0.25, 0.3, 120, 60))
    assert matrix is not None
    rgb = from_uint8(image)
    laid = alignment.lay_back(rgb, from_uint8(alignment.take_out(image, matrix)), matrix)
    assert np.abs(laid - rgb).mean() < 0.01


def test_only_the_square_changes_and_its_middle_is_the_new_face() -> None:
    rgb = from_uint8(texture(300, 400))
    matrix = alignment.placement(points(0.25, 0.0, 100, 80))
    assert matrix is not None
    laid = alignment.lay_back(rgb, np.ones((512, 512, 3), np.float32), matrix)
    assert (laid[80 + 64, 100 + 64] == 1).all()
    outside = np.ones((300, 400), bool)
    outside[78:212, 98:232] = False
    assert (laid[outside] == rgb[outside]).all()
    assert not np.may_share_memory(laid, rgb)


def test_a_face_at_the_edge_of_the_picture_is_laid_in_as_far_as_it_goes() -> None:
    rgb = np.zeros((100, 100, 3), np.float32)
    matrix = alignment.placement(points(0.5, 0.0, -150, -130))
    assert matrix is not None
    laid = alignment.lay_back(rgb, np.ones((512, 512, 3), np.float32), matrix)
    assert laid.shape == rgb.shape
    assert laid[0, 0, 0] > 0.9
    away = alignment.placement(points(0.5, 0.0, 5000, 5000))
    assert away is not None
    assert alignment.lay_back(rgb, np.ones((512, 512, 3), np.float32), away) is rgb


def test_a_face_of_a_few_pixels_is_too_small() -> None:
    assert not alignment.is_large_enough(points(0.03, 0.0, 0, 0))
    assert alignment.is_large_enough(points(0.05, 0.0, 0, 0))
