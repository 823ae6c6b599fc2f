"""Pictures of any size made to fit a model that takes only some: mirrored on at the right and at the bottom."""

from typing import Final

import numpy as np

from engine.images import Bytes
from engine.inpainting.descriptor import EraseModelSpec

_AXES: Final = 2


def padded_size(height: int, width: int, spec: EraseModelSpec) -> tuple[int, int]:
    """Height and width of the smallest picture the model takes that holds one of this size."""
    rows, columns = (max(_up_to(side, spec.pad_multiple), spec.min_px) for side in (height, width))
    return (max(rows, columns),) * _AXES if spec.is_square else (rows, columns)


def pad(pixels: Bytes, spec: EraseModelSpec) -> Bytes:
    """A picture or mask with its mirror image at the right and the bottom, the edge row and column included, again
    and again where once is too little.

    Args:
        pixels: (H, W, ...), not empty.

    Returns:
        (H', W', ...) as `padded_size` says; the top left (H, W) of it is `pixels`.
    """
    height, width = pixels.shape[:2]
    rows, columns = padded_size(height, width, spec)
    around = [(0, rows - height), (0, columns - width)] + [(0, 0)] * (pixels.ndim - _AXES)
    return np.pad(pixels, around, mode="symmetric")


def _up_to(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
