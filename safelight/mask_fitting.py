"""A mask brought to the size of a picture, and a picture, its mask and its result side by side."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from safelight.errors import PictureUnreadable

Shown: TypeAlias = "Path | bytes | Sequence[tuple[int, ...]]"
"""A mask as `fitted` gives it; or the rectangles (x, y, width, height) that were worked on."""

_ORIENTATION: Final = 0x0112
_SIDEWAYS_FROM: Final = 5
_DAMAGE: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_PNG_LEVEL: Final = 1


def fitted(mask: Path, picture: Path) -> Path | bytes:
    """The mask for a picture, in the size of the upright picture. Blocks.

    One that has this size is taken as it is. One that is as large as the picture before it is turned upright is turned
    with it: whoever made it did not know of the tag. Any other is resized, by its nearest pixels.

    Returns:
        `mask`, or the bytes of a PNG.

    Raises:
        PictureUnreadable: one of the two is no picture.
    """
    with _opened(picture) as image:
        orientation = _orientation(image)
        stored = image.size
    size = stored[::-1] if orientation >= _SIDEWAYS_FROM else stored
    with _opened(mask) as found:
        own = _orientation(found)
        if (found.size[::-1] if own >= _SIDEWAYS_FROM else found.size) == size:
            return mask
        try:
            found.load()
            if own == 1 and found.size == stored:
                found.getexif()[_ORIENTATION] = orientation
            upright = _plain(ImageOps.exif_transpose(found))
            return _png(upright if upright.size == size else upright.resize(size, Image.Resampling.NEAREST))
        except _DAMAGE as error:
            raise PictureUnreadable(f"cannot read the mask {mask}: {error}") from None


def side_by_side(picture: Path, mask: Shown, result: bytes) -> bytes:
    """Picture, mask and result in a row, as a PNG. Blocks.

    Args:
        result: a picture file, of the size of the upright picture.

    Raises:
        PictureUnreadable: one of them is no picture.
    """
    with _opened(picture) as before, _opened(result) as after:
        try:
            parts = [_plain(ImageOps.exif_transpose(before)), _drawn(mask, after.size), _plain(after)]
            mode = "RGBA" if any(part.mode == "RGBA" for part in parts) else "RGB"
            row = Image.new(mode, (sum(part.width for part in parts), max(part.height for part in parts)))
            left = 0
            for part in parts:
                row.paste(part.convert(mode), (left, 0))
                left += part.width
            return _png(row, after.info.get("icc_profile"))
        except _DAMAGE as error:
            raise PictureUnreadable(f"cannot read the picture {picture}: {error}") from None


def _drawn(mask: Shown, size: tuple[int, int]) -> Image.Image:
    if isinstance(mask, Path | bytes):
        with _opened(mask) as found:
            return _plain(ImageOps.exif_transpose(found))
    layer = Image.new("RGB", size)
    for x, y, width, height in mask:
        ImageDraw.Draw(layer).rectangle((x, y, x + width - 1, y + height - 1), fill="white")
    return layer


def _opened(source: Path | bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        if image.format == "TIFF":  # Pillow turns it by itself, but only when it reads its pixels
            image.load()
    except _DAMAGE as error:
        name = "that came" if isinstance(source, bytes) else str(source)
        why = "no picture of a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        raise PictureUnreadable(f"cannot read the picture {name}: {why}") from None
    return image


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a damaged block raises whatever it likes, and makes no bad picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _plain(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _png(image: Image.Image, icc_profile: bytes | None = None) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=_PNG_LEVEL, icc_profile=icc_profile)
    return out.getvalue()
