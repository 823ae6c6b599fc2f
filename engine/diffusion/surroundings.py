"""Which part of a picture a model is shown around what it repaints."""

import math
from typing import Final

from engine import masks
from engine.masks import Box, Mask

_ROOM: Final = 1.15
"""Side of the square around a mask, in longer sides of the mask."""


def with_margin(mask: Mask, margin_px: int) -> Box:
    """The mask's bounds with the margin, no flatter than 1 to 2 where the picture has the room.

    Args:
        mask: (H, W), not empty.
    """
    box = masks.crop_around(mask, margin_px)
    assert box is not None, "an empty mask has no surroundings"
    height, width = mask.shape
    left, box_width = _wide_enough(box.x, box.width, box.height // 2, width)
    top, box_height = _wide_enough(box.y, box.height, box.width // 2, height)
    return Box(left, top, box_width, box_height)


def with_share(mask: Mask, share: float) -> Box:
    """A square around the mask with some room, grown until both sides have their share of the picture's.

    Its shorter side grows first, in both directions, as far as the picture goes.

    Args:
        mask: (H, W), not empty.
        share: 0 is the square alone, 1 the whole picture.

    Source: the "respective field" of Fooocus' inpainting.
    """
    bounds = masks.bounds(mask)
    assert bounds is not None, "an empty mask has no surroundings"
    height, width = mask.shape
    if share >= 1:
        return Box(0, 0, width, height)
    reach = max(bounds.width, bounds.height) * _ROOM / 2
    middle_x, middle_y = bounds.x + bounds.width / 2, bounds.y + bounds.height / 2
    left, right = max(0, math.floor(middle_x - reach)), min(width, math.ceil(middle_x + reach))
    top, bottom = max(0, math.floor(middle_y - reach)), min(height, math.ceil(middle_y + reach))
    while bottom - top < share * height or right - left < share * width:
        is_taller = bottom - top > right - left
        # One that has reached both edges of the picture cannot grow: then it is the other's turn.
        if (is_taller and right - left < width) or bottom - top == height:
            left, right = max(0, left - 1), min(width, right + 1)
        else:
            top, bottom = max(0, top - 1), min(height, bottom + 1)
    return Box(left, top, right - left, bottom - top)


def _wide_enough(start: int, length: int, least: int, limit: int) -> tuple[int, int]:
    wanted = min(max(length, least), limit)
    return min(max(0, start - (wanted - length) // 2), limit - wanted), wanted
