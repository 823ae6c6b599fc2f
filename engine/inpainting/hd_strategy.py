"""What a model is shown of a picture, and how what it makes gets back into it.

    parts(mask)  ->  prepare(picture, part)  ->  the model  ->  finish(made, part)  ->  pasted over the part's box

A part is a rectangle of the picture, perhaps reduced. Every part shows the picture as it was: nothing a model made is
shown to it again. They are pasted in their order, a later one over an earlier.

Source: the three strategies are those that clients of IOPaint know by these names. Two of its faults are not kept:
enlarging clips and rounds where that cut and wrapped around, and a crop has the same margin on both sides of a part of
odd size.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from engine.images import Bytes, Floats
from engine.inpainting.descriptor import EraseModelSpec
from engine.inpainting.padding import pad
from engine.masks import Box
from protocol.erasing import EraseParams, HdStrategy

_OWN_SIDE_PX: Final = 512
_OWN_MARGIN_PX: Final = 128
"""What models with crops of their own are shown: see `EraseModelSpec.crops_itself`."""
MASKED: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class HdOptions:
    """What a request says about large pictures; see `EraseParams` for the meaning of each."""

    strategy: HdStrategy = HdStrategy.CROP
    crop_trigger_px: int = 800
    crop_margin_px: int = 128
    resize_limit_px: int = 1280
    keep_unmasked: bool = True

    @classmethod
    def of(cls, params: EraseParams) -> "HdOptions":
        return cls(
            strategy=params.hd_strategy,
            crop_trigger_px=params.hd_crop_trigger_px,
            crop_margin_px=params.hd_crop_margin_px,
            resize_limit_px=params.hd_resize_limit_px,
            keep_unmasked=params.keep_unmasked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing a model is asked for.

    Attributes:
        box: what it shows of the picture.
        side_px: what the longer side is reduced to; a shorter one keeps its size. None: never reduced.
        is_mask_only: only what is masked is pasted, also where a request would keep all that a model makes.
    """

    box: Box
    side_px: int | None = None
    is_mask_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """What a model is shown of one part.

    Attributes:
        image, mask: padded; (H, W, 3) and (H, W) uint8, see `EraseNetwork`.
        share: (h, w) in [0, 1], without the padding: how much of each pixel is masked, where the part was reduced.
            Else None: all or nothing.
        height, width: without the padding.
    """

    image: Bytes
    mask: Bytes
    share: Floats | None
    height: int
    width: int


def parts(mask: Bytes, spec: EraseModelSpec, hd: HdOptions) -> tuple[Part, ...]:
    """What to ask for, for a picture with this mask; nothing for an empty mask where only its surroundings are shown.

    Args:
        mask: (H, W) uint8, 0 or 255.
    """
    height, width = mask.shape
    whole, longer_px = Box(0, 0, width, height), max(height, width)
    if spec.crops_itself:
        if height == width == _OWN_SIDE_PX:
            return (Part(box=whole),)
        boxes = (crop_box(box, _OWN_MARGIN_PX, width, height) for box in outlines(mask))
        return tuple(Part(box=box, side_px=_OWN_SIDE_PX, is_mask_only=True) for box in boxes)
    if hd.strategy is HdStrategy.CROP and longer_px > hd.crop_trigger_px:
        return tuple(Part(box=crop_box(box, hd.crop_margin_px, width, height)) for box in outlines(mask))
    if hd.strategy is HdStrategy.RESIZE and longer_px > hd.resize_limit_px:
        return (Part(box=whole, side_px=hd.resize_limit_px, is_mask_only=True),)
    return (Part(box=whole),)


def outlines(mask: Bytes) -> list[Box]:
    """The rectangle around each connected part of a mask (corners connect); holes in a part count as part of it."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [Box(*(int(value) for value in cv2.boundingRect(contour))) for contour in contours]


def crop_box(box: Box, margin_px: int, width: int, height: int) -> Box:
    """`box` with a margin on all sides, within a `width` x `height` picture.

    Where the margin does not fit on one side, the other shows so much more, as long as there is picture.
    """
    left, columns = _span(box.x, box.width, margin_px, width)
    top, rows = _span(box.y, box.height, margin_px, height)
    return Box(left, top, columns, rows)


def prepare(image: Bytes, mask: Bytes, part: Part, spec: EraseModelSpec) -> Shown:
    """What the model is shown: cut out, reduced, padded.

    Args:
        image: (H, W, 3) uint8: the picture as it was given.
        mask: (H, W) uint8, 0 or 255.
    """
    crop, hole = image[part.box.slices], mask[part.box.slices]
    size, share = _reduced_size(part), None
    if size is not None:
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        share = _reduced_mask(hole, size)
        # A pixel with anything of the hole in it is hole: what is erased must not be shown.
        hole = np.where(share > 0, MASKED, 0).astype(np.uint8)
    height, width = hole.shape
    return Shown(image=pad(crop, spec), mask=pad(hole, spec), share=share, height=height, width=width)


def finish(made: Bytes, shown: Shown, image: Bytes, mask: Bytes, part: Part, *, keep_unmasked: bool) -> Bytes:
    """What goes over the part's box.

    Args:
        made: of the size of what was shown, whatever it holds where nothing is masked.
        image, mask: as given to `prepare`.

    Returns:
        (box.height, box.width, 3) uint8.
    """
    result, kept = (pixels[: shown.height, : shown.width] for pixels in (made, shown.image))
    if shown.share is not None:
        enlarged = result.astype(np.float32)
        if keep_unmasked:
            enlarged = kept + (enlarged - kept) * shown.share[..., None]
        cubic = cv2.resize(enlarged, (part.box.width, part.box.height), interpolation=cv2.INTER_CUBIC)
        result = np.rint(np.clip(cubic, 0, 255)).astype(np.uint8)  # it overshoots
    elif keep_unmasked:
        result = _where_masked(shown.mask[: shown.height, : shown.width], result, kept)
    if part.is_mask_only:
        result = _where_masked(mask[part.box.slices], result, image[part.box.slices])
    return result


def _span(start: int, length: int, margin_px: int, limit: int) -> tuple[int, int]:
    """Start and length of `start`, `length` with a margin, within 0..limit, moved inwards rather than cut."""
    wanted = min(length + 2 * margin_px, limit)
    return min(max(0, start - margin_px), limit - wanted), wanted


def _reduced_size(part: Part) -> tuple[int, int] | None:
    """Width and height, for OpenCV; None if the part is shown in its size."""
    longer_px = max(part.box.width, part.box.height)
    if part.side_px is None or longer_px <= part.side_px:
        return None
    scale = part.side_px / longer_px
    return max(1, int(part.box.width * scale + 0.5)), max(1, int(part.box.height * scale + 0.5))


def _reduced_mask(hole: Bytes, size: tuple[int, int]) -> Floats:
    """How much of each pixel of the smaller picture is masked: (h, w) in [0, 1]."""
    share = cv2.resize(hole, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / MASKED
    # The cubic looks at four pixels, however many lie between two of the smaller picture: it may miss a thin line.
    averaged = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) / MASKED
    return np.where(share > 0, share, averaged).astype(np.float32)


def _where_masked(mask: Bytes, inside: Bytes, outside: Bytes) -> Bytes:
    return np.where(mask[..., None] > 0, inside, outside)
