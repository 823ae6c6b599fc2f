"""Masks: 1 (True) repaints, 0 keeps; always, everywhere inside.

    file or regions  ->  (H, W) bool  --grow-->  --groups-->  holes to fill  --paste_back-->  picture

All functions leave their arguments as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine import images
from engine.colour import Warn
from engine.images import Floats
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.params import Region

Mask: TypeAlias = NDArray[np.bool_]

_FAR_PX: Final = np.int32(1 << 20)
_BITS: Final = 8
_BT_601: Final = np.array((0.299, 0.587, 0.114), np.float32)


class ShapeMismatch(ValueError):
    """A mask and a picture that belong together differ in size."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle within a picture, in pixels, never empty."""

    x: int
    y: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns: `picture[box.slices]` is the part inside, a view."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def widened(self, margin_px: int, width: int, height: int) -> "Box":
        """With `margin_px` more on each side, cut off at the edges of a `width` x `height` picture."""
        left, top = max(0, self.x - margin_px), max(0, self.y - margin_px)
        right = min(width, self.x + self.width + margin_px)
        bottom = min(height, self.y + self.height + margin_px)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Parts of a mask that lie close together.

    Attributes:
        box: the smallest rectangle around them.
        mask: (box.height, box.width) bool, without the parts of other groups.
    """

    box: Box
    mask: Mask


def decode(source: Path | bytes, *, threshold: int = 128, warn: Warn | None = None) -> Mask:
    """Read a mask file: 1 where it is light, by its luminance, from the middle up.

    A file of one single colour with varying transparency says it by its alpha: opaque is 1.

    Args:
        threshold: the least luminance that is 1, as a whole number of 0..255.
        warn: as for `images.decode`.

    Returns:
        (H, W) bool.

    Raises:
        EngineError: `bad_image`: not a picture.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    plain = images.decode_plain(content)
    if plain is not None:
        return _decode_plain(plain, threshold)
    picture = images.decode(content, warn=warn)
    if picture.depth_bits == _BITS:
        return _decode_plain(images.to_pillow(picture), threshold)
    # Half way to the number below: as if it had been rounded to a whole number first.
    least = np.float32((threshold - 0.5) / 255)
    if picture.alpha is not None and np.ptp(picture.rgb, axis=(0, 1)).max() == 0 and np.ptp(picture.alpha) > 0:
        return picture.alpha >= least
    return picture.rgb @ _BT_601 >= least


def for_picture(source: Path | bytes, width: int, height: int, *, fits: bool = False) -> Mask:
    """Like `decode`, for a picture of this size.

    Args:
        fits: a mask of another size is brought to this one; a pixel that is half covered is 1.

    Raises:
        EngineError: `invalid_params`: the mask has another size.
    """
    mask = decode(source)
    if mask.shape != (height, width):
        if fits:
            return _resized(mask, width, height)
        message = f"mask: expected {width} x {height} px like the image, got {mask.shape[1]} x {mask.shape[0]}"
        raise EngineError(ErrorCode.INVALID_PARAMS, f"{message} at $.params.mask")
    return mask


def from_regions(regions: Sequence[Region], width: int, height: int) -> Mask:
    """(height, width) bool, 1 inside the regions; what lies outside the picture is cut off."""
    mask = np.zeros((height, width), np.bool_)
    for region in regions:
        box = clipped(region, width, height)
        if box is not None:
            mask[box.slices] = True
    return mask


def clipped(region: Region, width: int, height: int) -> Box | None:
    """The part of a region that lies inside a `width` x `height` picture; None if there is none."""
    left, top = max(0, region.x), max(0, region.y)
    right, bottom = min(width, region.x + region.width), min(height, region.y + region.height)
    return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


def bounds(mask: Mask) -> Box | None:
    """The smallest rectangle around what is 1; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)


def crop_around(mask: Mask, margin_px: int) -> Box | None:
    """`bounds` with a margin, within the picture; None for an empty mask."""
    box = bounds(mask)
    return None if box is None else box.widened(margin_px, mask.shape[1], mask.shape[0])


def grow(mask: Mask, by_px: int) -> Mask:
    """Add everything within `by_px` of what is 1 (dilation by a disc)."""
    if by_px == 0:
        return mask.copy()
    grown = np.zeros_like(mask)
    box = crop_around(mask, by_px)
    if box is not None:
        grown[box.slices] = _distance(mask[box.slices]) <= by_px
    return grown


def dilate(mask: Mask, by_px: int, *, is_box: bool = False) -> Mask:
    """Add everything that a square of 2 * `by_px` + 1, or the disc OpenCV draws in it, covers around what is 1.

    That disc is a little larger than the one `grow` adds: its rows are rounded, not cut off.
    """
    if is_box:
        side = 2 * by_px + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
        return np.asarray(cv2.dilate(mask.view(np.uint8), kernel), np.uint8) > 0
    grown = np.zeros_like(mask)
    box = crop_around(mask, by_px)
    if box is None:
        return grown
    # OpenCV looks at every pixel of the disc for every pixel of the mask. Here a row of the disc is one comparison.
    nearest = _nearest_in_row(mask[box.slices])
    part = grown[box.slices]
    for down in range(-by_px, by_px + 1):
        reach = round((by_px**2 - down**2) ** 0.5)
        rows = part.shape[0] - abs(down)
        if rows > 0:
            part[max(0, down) :][:rows] |= nearest[max(0, -down) :][:rows] <= reach
    return grown


def moved(mask: Mask, by_px: int, *, is_box: bool = False) -> Mask:
    """Move the edge of the mask outwards, or inwards if `by_px` is below 0, by a disc or a square.

    What lies beyond the edge of the picture counts as masked where it moves inwards: the edge itself does not move.
    """
    if by_px < 0:
        return ~moved(~mask, -by_px, is_box=is_box)
    return dilate(mask, by_px, is_box=True) if is_box else grow(mask, by_px)


def feather(mask: Mask, width_px: int) -> Floats:
    """Soft weights: 1 on the mask, falling evenly to 0 just beyond `width_px` outside it.

    Returns:
        (H, W) float32 in [0, 1].
    """
    weights = np.zeros(mask.shape, np.float32)
    box = crop_around(mask, width_px)
    if box is not None:
        weights[box.slices] = np.clip(1 - _distance(mask[box.slices]) / (width_px + 1), 0, 1)
    return weights


def thickness(mask: Mask) -> float:
    """Width in pixels of the thickest stroke of a mask; 0 for an empty one. The picture's edge counts as mask."""
    if not mask.any():
        return 0.0
    if mask.all():
        return float(min(mask.shape))
    # A stroke of n pixels has its middle (n + 1) / 2 pixels from the next pixel outside.
    return 2 * float(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()) - 1


def groups(mask: Mask, *, join_px: int, most: int) -> list[Group]:
    """Split a mask into parts that lie more than `join_px` apart, from top to bottom.

    Args:
        most: parts further apart are joined until there are no more than this.
    """
    box = crop_around(mask, join_px)
    if box is None:
        return []
    inner = mask[box.slices]
    distance = _distance(inner)
    while True:
        near = (distance <= join_px / 2).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
        if count - 1 <= most:
            break
        join_px = 2 * join_px + 1
    found = []
    for label in range(1, count):
        x, y, width, height = (int(value) for value in stats[label][:4])
        part = Box(x, y, width, height)
        own = inner[part.slices] & (labels[part.slices] == label)
        tight = bounds(own)
        assert tight is not None, "every component was grown from some of the mask"
        whole = Box(box.x + x + tight.x, box.y + y + tight.y, tight.width, tight.height)
        found.append(Group(whole, own[tight.slices]))
    return found


def paste_back(original: Floats, patch: Floats, mask: Mask, *, feather_px: int = 8) -> Floats:
    """Blend a repainted patch into the original, softly around the edge of the mask.

    Args:
        original: (H, W, 3), RGB in [0, 1].
        patch: like `original`; to be repainted `feather_px` further than the mask goes.
        mask: (H, W); 1 repaints, 0 keeps.
        feather_px: width of the soft edge outside the mask; 0 is a hard edge.

    Returns:
        (H, W, 3) in [0, 1]; exactly `patch` on the mask, exactly `original` wherever the feathered mask is 0.

    Raises:
        ShapeMismatch: H or W differ between the three.

    Source: the "over" operator, Porter and Duff 1984.
    """
    if not original.shape[:2] == patch.shape[:2] == mask.shape:
        raise ShapeMismatch(f"original {original.shape}, patch {patch.shape} and mask {mask.shape} differ in size")
    weights = feather(mask, feather_px)[..., None]
    return original * (1 - weights) + patch * weights


def _resized(mask: Mask, width: int, height: int) -> Mask:
    is_smaller = width * height < mask.size
    shares = cv2.resize(
        mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    )
    return np.asarray(shares >= np.float32(0.5))


def _nearest_in_row(mask: Mask) -> NDArray[np.int32]:
    """Of each pixel to the nearest in its row that is 1, in pixels; more than any picture is wide if there is none."""
    columns = np.arange(mask.shape[1], dtype=np.int32)
    left = np.maximum.accumulate(np.where(mask, columns, -_FAR_PX), axis=1)
    right = np.minimum.accumulate(np.where(mask, columns, _FAR_PX)[:, ::-1], axis=1)[:, ::-1]
    nearest: NDArray[np.int32] = np.minimum(columns - left, right - columns)
    return nearest


def _distance(mask: Mask) -> Floats:
    """Of each pixel to the nearest that is 1, in pixels between centres; infinite in an empty mask."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _decode_plain(image: Image.Image, threshold: int) -> Mask:
    """
    Args:
        image: of mode L, LA, RGB or RGBA.
    """
    # As every picture editor converts to grey, with the weights of ITU-R BT.601.
    grey = image.convert("L")
    # Its greys are looked at first: there is a third of them, and most masks have two.
    if image.mode in {"LA", "RGBA"} and _is_of_one_shade(grey):
        *colours, alpha = image.split()
        if all(map(_is_of_one_shade, colours)) and not _is_of_one_shade(alpha):
            grey = alpha
    return np.asarray(np.asarray(grey) >= threshold)


def _is_of_one_shade(band: Image.Image) -> bool:
    least, most = band.getextrema()
    return least == most
