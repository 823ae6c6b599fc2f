"""Edges of a picture, for ControlNets that follow them."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes, Floats, from_uint8, to_uint8
from engine.preprocessing.levels import stretched

_TENTHS: Final = range(2, 11)
"""Of the sides of the picture, from the coarsest to the picture itself."""
_KEPT: Final = 0.75
"""Of what coarser scales showed, at each finer one; its own edges are the rest."""
_DARK, _BRIGHT = 1, 99
"""Percentiles that become black and white."""


def edges(picture: Floats, low: int, high: int) -> Floats:
    """White on black.

    Args:
        picture: (H, W, 3), RGB in [0, 1].
        low, high: of 255: gradients above the larger are edges, and those above the smaller that touch one.

    Returns:
        (H, W, 3) of 0 and 1.

    Source: Canny, "A Computational Approach to Edge Detection", 1986.
    """
    found = cv2.Canny(to_uint8(picture), low, high)
    return from_uint8(np.repeat(np.asarray(found, np.uint8)[..., None], 3, axis=2))


def layered_edges(picture: Floats, low: int, high: int) -> Floats:
    """Grey: the brighter, the more scales and colours have an edge there, the finest scale counting most.

    Args:
        picture, low, high: as for `edges`.

    Returns:
        (H, W, 3) in [0, 1].

    Source: the preprocessor that Fooocus calls PyraCanny: Canny for each colour at nine scales.
    """
    image = to_uint8(picture)
    height, width = image.shape[:2]
    layered: NDArray[np.float32] | None = None
    for tenths in _TENTHS:
        size = (max(1, width * tenths // 10), max(1, height * tenths // 10))
        shown = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = _edges_of_colours(np.asarray(shown, np.uint8), low, high)
        if layered is None:
            layered = found
        else:
            coarser = cv2.resize(layered, size, interpolation=cv2.INTER_LINEAR)
            layered = np.asarray(coarser * _KEPT + found * (1 - _KEPT), np.float32)
    assert layered is not None, "there are scales"
    grey = stretched(layered.sum(axis=2), _DARK, _BRIGHT)
    return np.repeat(grey[..., None], 3, axis=2)


def _edges_of_colours(image: Bytes, low: int, high: int) -> NDArray[np.float32]:
    """(H, W, 3) of 0 and 1: the edges of each colour alone."""
    planes = [cv2.Canny(np.ascontiguousarray(image[..., colour]), low, high) for colour in range(3)]
    return (np.stack(planes, axis=2) > 0).astype(np.float32)
