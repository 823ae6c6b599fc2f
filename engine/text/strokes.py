"""Masks of the strokes of letters: to take out the writing and leave what it stands on."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from engine import masks
from engine.images import Bytes
from engine.inpainting.opencv import TELEA
from engine.masks import Box, Group, Mask

Corners: TypeAlias = NDArray[np.float32]
"""(4, 2), x and y, of a rectangle around a line of writing; may be tilted."""

GROWTH: Final = 0.12
"""Share of the text height by which strokes are widened: as far as antialiasing, outlines and shadows reach."""
_VIEW: Final = 0.4
"""Share of the text height: how far around a line is looked at."""
_RIM: Final = 0.1
"""Share of the text height: how wide the edge of a line's rectangle is that counts as background."""
_SLACK: Final = 0.05
"""Share of the text height: how far strokes may reach beyond the line's rectangle."""
_SAME_INK: Final = 0.3
"""Share of the contrast between letters and background that still counts as the colour of the letters."""
_FAINTEST: Final = 5.0
"""Lab distance below which writing and background cannot be told apart."""


def find_strokes(
    image: Bytes, corners: Corners, height_px: float, others: Sequence[Corners] = (), *, grow_px: int | None = None
) -> Group | None:
    """Which pixels belong to the letters of a line of writing.

    The background is guessed from the edge of the line's rectangle; strokes are what differs from it more than Otsu's
    threshold. Writing that does not stand out is covered whole.

    Args:
        image: (H, W, 3) uint8, RGB.
        corners: of the line.
        height_px: of its letters.
        others: corners of other lines, which are no background.
        grow_px: how far to widen the strokes; None takes `GROWTH` of the height.

    Returns:
        The strokes within a box somewhat larger than the line; None if the line lies outside the picture.

    Source: N. Otsu, A threshold selection method from gray-level histograms, 1979; distances in CIE Lab (1976).
    """
    height, width = image.shape[:2]
    growth_px = max(1, round(GROWTH * height_px)) if grow_px is None else grow_px
    view = _view(corners, max(4, round(_VIEW * height_px), growth_px), width, height)
    if view is None:
        return None
    line = _polygon(corners, view)
    # The outermost pixels of the line's rectangle are still the panel, bubble or sign that the writing stands on;
    # what is outside need not be.
    unknown = ~masks.grow(~line, max(1, round(_RIM * height_px)))
    for other in others:
        unknown |= _polygon(other, view) & ~line
    area = masks.grow(line, max(1, round(_SLACK * height_px)))
    if not (unknown & line).any() or unknown.all():
        return Group(view, area)
    return Group(view, masks.grow(_standing_out(image[view.slices], area, unknown), growth_px))


def _standing_out(image: Bytes, area: Mask, unknown: Mask) -> Mask:
    colours = _lab(image)
    distance = np.linalg.norm(colours - _lab(TELEA.fill(image, unknown, 0)), axis=2)
    inside = distance[area]
    scale = 255 / max(float(inside.max()), 1e-6)
    level, _ = cv2.threshold(np.rint(inside * scale).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    strokes: Mask = area & (distance > level / scale)
    contrast = float(np.median(distance[strokes])) if strokes.any() else 0.0
    if contrast < _FAINTEST:
        return area
    # Where the background comes close to the colour of the letters, they are found by that colour.
    ink = np.median(colours[strokes], axis=0)
    strokes |= area & (np.linalg.norm(colours - ink, axis=2) < _SAME_INK * contrast)
    return strokes


def _lab(image: Bytes) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)


def _view(corners: Corners, margin_px: int, width: int, height: int) -> Box | None:
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
    left, top = max(0, int(left)), max(0, int(top))
    right, bottom = min(width, int(right)), min(height, int(bottom))
    if left >= right or top >= bottom:
        return None
    return Box(left, top, right - left, bottom - top).widened(margin_px, width, height)


def _polygon(corners: Corners, view: Box) -> Mask:
    mask = np.zeros((view.height, view.width), np.uint8)
    moved = np.rint(corners - np.array((view.x, view.y), np.float32)).astype(np.int32)
    cv2.fillConvexPoly(mask, moved, 1)
    return mask.astype(np.bool_)
