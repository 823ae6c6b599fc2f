"""Greys that keep contrasts."""

import cv2
import numpy as np

from engine.images import from_uint8, to_uint8
from engine.preprocessing.shades import contrast_shades
from tests.unit.engine.pictures import texture

PHOTO = from_uint8(cv2.GaussianBlur(texture(60, 80), (0, 0), 3))


def test_shades_are_those_of_the_description():
    soft = cv2.GaussianBlur(to_uint8(PHOTO), (0, 0), 0.8)
    grey, boosted = cv2.decolor(soft)
    total = grey.astype(float) + np.sqrt(((soft.astype(float) - boosted) ** 2).sum(axis=2))
    dark, bright = np.percentile(total, 4), np.percentile(total, 96)
    made = contrast_shades(PHOTO)
    assert made.shape == PHOTO.shape
    assert np.abs(made[..., 0] - np.clip((total - dark) / (bright - dark), 0, 1)).max() < 1e-5


def test_a_flat_picture_is_black():
    assert not contrast_shades(np.full((20, 20, 3), 0.3, np.float32)).any()
