"""Sizes as Fooocus writes them: `1152*896`, and `1152×896` as its page shows them."""

import re
from typing import Final

from protocol.generation import MAX_GENERATED_SIDE_PX
from service.dialects.picture_size import Size

_RATIO: Final = re.compile(r"\s*(\d{1,5})\s*[*×]\s*(\d{1,5})(?!\d)", re.ASCII)
_LEAST_PX: Final = 16
_SHARE_OF_OUTPAINT: Final = 0.3


def size_in(text: str) -> Size:
    """The size that a text begins with; Fooocus' page puts more behind it.

    Raises:
        ValueError: it begins with none, or with one that cannot be made.
    """
    match = _RATIO.match(text)
    if match is None:
        raise ValueError(f"expected WIDTH*HEIGHT in pixels, as in 1152*896, got {text[:40]!r}")
    size = Size(int(match[1]), int(match[2]))
    if not all(_LEAST_PX <= side <= MAX_GENERATED_SIDE_PX for side in size):
        raise ValueError(f"expected sides of {_LEAST_PX}..{MAX_GENERATED_SIDE_PX} pixels, got {text[:40]!r}")
    return size


def checked_aspect_ratio(text: str) -> str:
    """The same text.

    Raises:
        ValueError: see `size_in`.
    """
    size_in(text)
    return text


def continued_px(side_px: int, asked_px: int | None) -> int:
    """How many pixels a side of a picture is continued by.

    Args:
        side_px: how long the picture is in that direction.
        asked_px: 0, less or nothing is 30 % of it.
    """
    return asked_px if asked_px is not None and asked_px > 0 else int(side_px * _SHARE_OF_OUTPAINT)
