"""A picture in greys that keep the contrasts of its colours, for ControlNets that follow its structure."""

from typing import Final

import cv2
import numpy as np

from engine.images import Floats, to_uint8
from engine.preprocessing.levels import stretched

_SOFTENED_PX: Final = 0.8
"""Standard deviation of the blur that takes away the grain first."""
_DARK, _BRIGHT = 4, 96
"""Percentiles that become black and white."""


def contrast_shades(picture: Floats) -> Floats:
    """
    Args:
        picture: (H, W, 3), RGB in [0, 1].

    Returns:
        (H, W, 3) in [0, 1], grey: how bright each pixel is where colours that differ stay apart, and how far its colour
        is from what it would be with the contrast of that.

    Source: Lu, Xu and Jia, "Contrast Preserving Decolorization", 2012, as OpenCV has it; and what Fooocus' CPDS adds.
    """
    softened = np.asarray(cv2.GaussianBlur(to_uint8(picture), (0, 0), _SOFTENED_PX), np.uint8)
    grey, boosted = cv2.decolor(softened)
    offset = np.linalg.norm(softened.astype(np.float32) - boosted.astype(np.float32), axis=2)
    shades = stretched(grey.astype(np.float32) + offset, _DARK, _BRIGHT)
    return np.repeat(shades[..., None], 3, axis=2)
