"""Pictures that were checked or that we wrote ourselves, in another format."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.probe import open_header

if TYPE_CHECKING:
    from PIL import Image

PICTURES: Final = ("image/png", "image/webp", "image/jpeg")
"""Media types that can be made."""
_PILLOW_NAMES: Final = {"image/png": "PNG", "image/webp": "WEBP", "image/jpeg": "JPEG"}
_QUALITY: Final = 90
_ORIENTATION_TAG: Final = 0x0112
_WRITABLE_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I"})
"""Of Pillow, that a PNG can hold; WebP and JPEG convert them on their own."""
_UNEVEN: Final = frozenset({"1", "P"})


def converted(path: Path, media_type: str, *, longest_px: int | None = None, quality: int = _QUALITY) -> bytes:
    """The picture of a file, upright and encoded anew; in JPEG its transparent parts are white. Blocks.

    Args:
        media_type: one of `PICTURES`.
        longest_px: a larger picture is made smaller, to this longest side.
        quality: 1..100, of JPEG and WebP.

    Raises:
        FileNotFoundError: the file is gone.
        OSError: it is damaged.
    """
    from PIL import Image, ImageOps

    # Not by Pillow's own way to open files, which refuses very large ones: what we keep was checked, or made here.
    with path.open("rb") as file:
        image = open_header(file)
        if image is None:
            raise OSError("it is no picture")
        picture: Image.Image = image
        # A copy only if it is turned: an unread JPEG can be read at a smaller size at once. A TIFF turns as it is read.
        if image.format != "TIFF" and image.getexif().get(_ORIENTATION_TAG, 1) != 1:
            picture = ImageOps.exif_transpose(image)
        if longest_px is not None:
            if picture.mode in _UNEVEN:  # between the colours of a palette there are none to mix
                picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
            picture.thumbnail((longest_px, longest_px))
        return _encoded(picture, media_type, quality)


def converted_bytes(content: bytes, media_type: str) -> bytes:
    """The same of the contents of a file. Blocks."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return _encoded(image, media_type, _QUALITY)


def _encoded(picture: "Image.Image", media_type: str, quality: int) -> bytes:
    from PIL import Image

    if media_type == "image/jpeg" and picture.mode not in {"RGB", "L"}:
        with_alpha = picture.convert("RGBA")
        picture = Image.new("RGB", with_alpha.size, "white")
        picture.paste(with_alpha, mask=with_alpha.getchannel("A"))
    elif picture.mode not in _WRITABLE_MODES:
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, _PILLOW_NAMES[media_type], quality=quality)
    return buffer.getvalue()
