"""The part of a picture that is repainted: cut out at the model's size, and pasted back where the mask says."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image

from engine import masks
from engine.diffusion.histograms import matched
from engine.diffusion.sizes import Size, WorkingSize
from engine.diffusion.surroundings import with_margin, with_share
from engine.images import Floats
from engine.masks import Box, Mask

_LARGEST: Final = 1.5
"""A whole picture is shown in its size up to this many times the area the model was trained at."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What a model is given to repaint.

    Attributes:
        original: (H, W, 3), RGB in [0, 1]: the whole picture.
        mask: (H, W) bool; 1 repaints.
        box: the part of the picture the model sees.
        size: at which it sees it.
        blur_px: width of the soft edge.
        matches_histograms: what was made gets the colours back that the model took from what lies around it.
        is_soft_outside: the soft edge lies around the mask; else within it.
        enlarged: the picture in `box`, already larger than it is there.
        keeps_unmasked: outside the mask the picture stays as it was; else all of `box` is what the model made.
    """

    original: Floats
    mask: Mask
    box: Box
    size: Size
    blur_px: int
    matches_histograms: bool = False
    is_soft_outside: bool = False
    enlarged: Floats | None = None
    keeps_unmasked: bool = True

    @property
    def image(self) -> Floats:
        """(size.height, size.width, 3): what the model is shown."""
        shown = self.original[self.box.slices] if self.enlarged is None else self.enlarged
        return resize(shown, self.size)

    @property
    def model_mask(self) -> Floats:
        """(size.height, size.width) of 0 and 1; a pixel that is only partly masked is repainted."""
        weights = resize(self.mask[self.box.slices].astype(np.float32), self.size)
        return (weights > 0.01).astype(np.float32)

    def seen(self, picture: Floats) -> Floats:
        """(size.height, size.width, 3): the same part of another picture, which is brought to the original's size."""
        height, width = self.original.shape[:2]
        return resize(resize(picture, Size(width, height))[self.box.slices], self.size)

    def pasted(self, generated: Floats) -> Floats:
        """The whole picture with what the model made, exactly `original` outside the mask and its soft edge.

        If it keeps what is unmasked; else outside the box.

        Args:
            generated: (size.height, size.width, 3) in [0, 1].
        """
        result = self.original.copy()
        patch = resize(generated, Size(self.box.width, self.box.height))
        soften = masks.feather if self.is_soft_outside else soft_inside
        weights = soften(self.mask, self.blur_px)[self.box.slices][..., None]
        inside = result[self.box.slices]
        if self.matches_histograms:
            patch = matched(patch, inside, where=~self.mask[self.box.slices])
        inside += (weights if self.keeps_unmasked else 1) * (patch - inside)
        np.clip(result, 0, 1, out=result)
        return result


def cut_out(
    original: Floats,
    mask: Mask,
    working: WorkingSize,
    *,
    margin_px: int | None,
    blur_px: int,
    area: Box | None = None,
    share: float | None = None,
    scale: float = 1.0,
    matches_histograms: bool = False,
    is_soft_outside: bool = False,
    keeps_unmasked: bool = True,
) -> Canvas:
    """Choose the part to work on and its size.

    Args:
        margin_px: surroundings of the mask that the model sees; None shows it the whole picture.
        area: what it sees instead; the mask lies in it.
        share: it sees a square around the mask instead, and at least this share of both sides of the picture.
        scale: of the size it would see it at, up to 1.
    """
    height, width = mask.shape
    # A part is looked at as closely as the model can; a whole picture is not made larger than it is.
    if area is not None:
        box = area
        size = working.at_most(Size(box.width, box.height), share=_LARGEST)
    elif share is not None:
        box = with_share(mask, share)
        size = working.in_blocks(Size(box.width, box.height))
    elif margin_px is not None:
        box = with_margin(mask, margin_px)
        size = working.natively(Size(box.width, box.height))
    else:
        box = Box(0, 0, width, height)
        size = working.at_most(Size(width, height), share=_LARGEST)
    if scale < 1:
        smaller = Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))
        size = working.at_most(smaller, share=_LARGEST)
    return Canvas(
        original, mask, box, size, blur_px, matches_histograms, is_soft_outside, keeps_unmasked=keeps_unmasked
    )


def soft_inside(mask: Mask, width_px: int) -> Floats:
    """Weights that are 0 outside the mask and rise evenly to 1 at `width_px` within it.

    Returns:
        (H, W) float32 in [0, 1].
    """
    # The picture's own edge is no edge of the mask: a mask that reaches it stays whole there.
    framed = np.pad(mask, 1, mode="edge").view(np.uint8)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    if mask.all():
        return np.ones(mask.shape, np.float32)
    return np.clip(inside / (width_px + 1), 0, 1).astype(np.float32)


def covering(values: Floats, size: Size) -> Floats:
    """The middle of a picture, (H, W, 3), as large as it is in the shape of `size`."""
    height, width = values.shape[:2]
    share = min(width / size.width, height / size.height)
    kept_width, kept_height = (max(1, round(side * share)) for side in (size.width, size.height))
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return values[top : top + kept_height, left : left + kept_width]


def resize(values: Floats, size: Size) -> Floats:
    """(H, W) or (H, W, 3) in [0, 1] to `size`, by Lanczos; the same array if it has that size.

    Source: Lanczos 1956 by way of Pillow, which widens the window where a picture gets smaller.
    """
    if values.shape[:2] == (size.height, size.width):
        return values
    planes = values[..., None] if values.ndim == 2 else values
    resized = [
        np.asarray(Image.fromarray(planes[..., number]).resize((size.width, size.height), Image.Resampling.LANCZOS))
        for number in range(planes.shape[2])
    ]
    stacked = np.clip(np.stack(resized, axis=2), 0, 1)
    return np.ascontiguousarray(stacked[..., 0] if values.ndim == 2 else stacked)
