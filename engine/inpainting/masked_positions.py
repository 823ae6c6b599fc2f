"""How deep each masked pixel lies in the hole, and from which corners it was reached: what `zits` knows of places.

Source: Dong et al., Incremental transformer structure enhanced image inpainting with masking positional encoding,
2022, section 3.4. Sizes and limits are those of IOPaint 1.6.0.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes
from engine.inpainting.base import NothingToFillFrom

GRID_PX: Final = 256
"""The hole is measured at this size, whatever the size of the picture."""
_DEEPEST: Final = 127
_CORNERS: Final = tuple(
    np.pad(np.ones((2, 2), np.float32), ((top, 1 - top), (left, 1 - left)))
    for top, left in ((0, 0), (1, 0), (0, 1), (1, 1))
)
"""Which neighbours count for one corner, the pixel among them: above left, below left, above right, below right."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPositions:
    """What is known of each pixel; 0 wherever nothing is masked.

    Attributes:
        depth: (H, W) int64, 1..127: how many rings of pixels of the grid lie between it and what is kept.
        corners: (H, W, 4) int64 of 0 and 1: from which corners it was reached first.
    """

    depth: NDArray[np.int64]
    corners: NDArray[np.int64]


def masked_positions(mask: Bytes) -> MaskedPositions:
    """Measure a hole.

    Args:
        mask: (H, W) uint8 of 0 and 255.

    Raises:
        NothingToFillFrom: the hole is the whole picture, so nothing lies beside it to measure from.
    """
    known = (shrunk_mask(mask, GRID_PX) == 0).astype(np.float32)
    if not known.any():
        raise NothingToFillFrom
    depth = np.zeros(known.shape, np.int32)
    corners = np.zeros((*known.shape, len(_CORNERS)), np.int32)
    ring = 0
    while not known.all():
        ring += 1
        grown = _touched(known, np.ones((3, 3), np.float32))
        depth[(grown > 0) & (known == 0)] = ring
        for index, corner in enumerate(_CORNERS):
            corners[(_touched(known, corner) > 0) & (known == 0), index] = 1
        known = grown
    depth = np.minimum(depth, _DEEPEST)
    if mask.shape != known.shape:
        size = (mask.shape[1], mask.shape[0])
        depth = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST))
        corners = np.asarray(cv2.resize(corners, size, interpolation=cv2.INTER_NEAREST))
        depth[mask == 0] = 0
        corners[mask == 0] = 0
    return MaskedPositions(depth.astype(np.int64), corners.astype(np.int64))


def shrunk_mask(mask: Bytes, side_px: int) -> Bytes:
    """(H, W) of 0 and 255 to (side_px, side_px): 255 wherever some of what is masked came together."""
    small = cv2.resize(mask, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.where(small > 0, np.uint8(255), np.uint8(0))


def _touched(known: NDArray[np.float32], neighbours: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 where one of these neighbours is 1, or its mirror image beyond the border."""
    return (cv2.filter2D(known, -1, neighbours) > 0).astype(np.float32)
