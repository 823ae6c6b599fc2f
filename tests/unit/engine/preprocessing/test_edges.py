"""Edges at several scales: how they are weighed, and what range they end in."""

import cv2
import numpy as np

from engine.images import from_uint8
from engine.preprocessing.edges import edges, layered_edges
from engine.preprocessing.levels import stretched
from tests.unit.engine.pictures import texture

PHOTO = from_uint8(cv2.GaussianBlur(texture(90, 120), (0, 0), 1.5))


def by_hand(image, low, high):
    """As described: nine scales from 0.2 to 1, each colour alone, three quarters of what was before kept."""
    height, width = image.shape[:2]
    total = None
    for scale in np.linspace(0.2, 1, 9):
        size = (int(round(width * scale, 6)), int(round(height * scale, 6)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = np.dstack([cv2.Canny(small[..., c].copy(), low, high) for c in range(3)]).astype(np.float32) / 255
        total = found if total is None else 0.75 * cv2.resize(total, size) + 0.25 * found
    grey = total.sum(axis=2)
    dark, bright = np.percentile(grey, 1), np.percentile(grey, 99)
    return np.clip((grey - dark) / (bright - dark), 0, 1)


def test_layered_edges_are_those_of_the_description():
    made = layered_edges(PHOTO, 64, 128)
    assert made.shape == PHOTO.shape
    assert (made[..., 0] == made[..., 1]).all()
    expected = by_hand(np.round(PHOTO * 255).astype(np.uint8), 64, 128)
    assert np.abs(made[..., 0] - expected).max() < 1e-5
    assert len(np.unique(made)) > 10, "they are grey, not black and white"


def test_an_edge_of_one_colour_is_one():
    picture = np.full((40, 40, 3), 0.5, np.float32)
    picture[:, 20:, 2] = 0.9
    assert layered_edges(picture, 64, 128)[:, 18:22].max() > 0.5


def test_a_picture_without_edges_is_black():
    flat = np.full((40, 40, 3), 0.5, np.float32)
    assert not layered_edges(flat, 64, 128).any()
    assert not edges(flat, 64, 128).any()


def test_a_picture_of_a_few_pixels_has_scales_too():
    assert layered_edges(PHOTO[:3, :2], 64, 128).shape == (3, 2, 3)


def test_levels_between_the_percentiles_fill_the_range():
    values = np.arange(101, dtype=np.float32)[None]
    made = stretched(values, 10, 90)
    assert made[0, 10] == 0
    assert made[0, 90] == 1
    assert made[0, 50] == np.float32(0.5)
    assert made.min() == 0
    assert made.max() == 1
