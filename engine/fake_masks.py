"""Masks for what the fake engine draws: 1 (True) is drawn on."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.images import Picture
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.params import Region

Mask: TypeAlias = NDArray[np.bool_]


def mask_like(picture: Picture, given: Picture) -> Mask:
    """Where a mask picture is light; it has to have the size of the picture."""
    if (given.width, given.height) != (picture.width, picture.height):
        sizes = f"expected {picture.width} x {picture.height} px like the image, got {given.width} x {given.height}"
        raise EngineError(ErrorCode.INVALID_PARAMS, f"mask: {sizes} at $.params.mask")
    light: Mask = given.rgb.mean(axis=2) >= 0.5
    return light


def covered(picture: Picture, regions: Sequence[Region]) -> Mask:
    """Where any of the regions is; parts outside the picture are cut off."""
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for region in regions:
        rows = slice(max(0, region.y), max(0, region.y + region.height))
        mask[rows, max(0, region.x) : max(0, region.x + region.width)] = True
    return mask


def box_of(mask: Mask) -> dict[str, int] | None:
    """The smallest rectangle around a mask, as clients are told of it; None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    left, top = int(columns[0]), int(rows[0])
    return {"x": left, "y": top, "width": int(columns[-1]) - left + 1, "height": int(rows[-1]) - top + 1}


def ellipse(picture: Picture, x: float, y: float, radius: float) -> Mask:
    """1 inside an ellipse; centre and radius as shares of the picture's sides."""
    across = (np.arange(picture.width) + 0.5) / picture.width - x
    down = (np.arange(picture.height) + 0.5) / picture.height - y
    mask: Mask = across[None, :] ** 2 + down[:, None] ** 2 <= radius**2
    return mask
