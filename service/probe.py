"""What a file from a client is: a whole picture of an accepted kind and size, or refused with the reason.

The header is read first, so that a small file that claims to be huge is refused before a pixel is decoded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.params import MAX_SIDE_PX
from service import png

if TYPE_CHECKING:
    from PIL import Image

MEDIA_TYPES: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a second picture behind it, as some cameras write it
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-pixmap",
    "ICO": "image/x-icon",
    "JPEG2000": "image/jp2",
    "TGA": "image/x-tga",  # the last: it has no mark of its own, only a header that makes sense
}
"""Pillow's name of each accepted format -> its media type. Pillow reads more, some of it by running other programs."""
ACCEPTED: Final = "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, ICO, JPEG 2000 or TGA"
_ORIENTATION_TAG: Final = 0x0112
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found: the media type by content, and the size of the upright picture in pixels."""

    media_type: str
    width: int
    height: int


def probe(path: Path, max_pixels: int, *, at: str = "$.params.image") -> Probe:
    """Check that `path` holds a picture that can be worked with; of an animation, its first frame.

    Blocks for as long as decoding takes; call it on a thread. A PNG whose checksums are right is not decoded: if its
    pixels are nonsense all the same, whoever works with it will say so.

    Args:
        max_pixels: cap of width times height.
        at: JSONPath of the picture in what the client sent, for messages.

    Raises:
        ProtocolError: `bad_image` for anything that is no whole picture, `image_too_large` above a cap. Names the
            field.
        OSError: the file cannot be opened.
    """
    from PIL import Image

    name = at.rsplit(".", 1)[-1]
    with path.open("rb") as file:
        try:
            image = open_header(file)
            if image is None:
                got = "something else" if path.stat().st_size else "an empty file"
                raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: expected {ACCEPTED}, got {got} at {at}", at)
            with image:
                _check_size(*image.size, max_pixels, name, at)
                position = file.tell()
                if not (image.format == "PNG" and png.is_intact(file)):
                    file.seek(position)  # its reader goes on where it has stopped
                    image.load()
                # Only now: the orientation may stand behind the pixels, and Pillow turns a TIFF by itself.
                width, height = upright_size(image)
                return Probe(MEDIA_TYPES[str(image.format)], width, height)
        except (ProtocolError, MemoryError):
            raise
        except Image.DecompressionBombError:
            allowed = f"at most {max_pixels} pixels"
            raise ProtocolError(
                ErrorCode.IMAGE_TOO_LARGE, f"{name}: expected {allowed}, got a frame with more at {at}", at
            ) from None
        except Exception:  # noqa: BLE001 - a decoder fed with garbage raises whatever it likes
            raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: the file is truncated or damaged at {at}", at) from None


def open_header(file: BinaryIO) -> "Image.Image | None":
    """Read the header only; None if it is of none of the accepted formats. No pixel is decoded, and no size refused.

    `PIL.Image.open` would do, but for its own pixel cap: it raises without telling the size, and below that warns
    in a way that threads cannot tell apart.
    """
    from PIL import Image

    Image.init()
    prefix = file.read(16)
    for name in MEDIA_TYPES:
        if name == "MPO":  # the reader of JPEG finds these itself
            continue
        read, accepts = Image.OPEN[name]
        if accepts is not None and accepts(prefix) is not True:
            continue
        file.seek(0)
        try:
            return read(file, "")
        except SyntaxError:  # Pillow's word for "not mine"
            if accepts is not None:
                raise
    return None


def _check_size(width: int, height: int, max_pixels: int, name: str, at: str) -> None:
    if width < 1 or height < 1:
        raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: the picture has no pixels at {at}", at)
    if width * height > max_pixels:
        allowed = f"at most {max_pixels} pixels"
    elif max(width, height) > MAX_SIDE_PX:
        allowed = f"sides of at most {MAX_SIDE_PX} pixels"
    else:
        return
    raise ProtocolError(
        ErrorCode.IMAGE_TOO_LARGE,
        f"{name}: expected {allowed}, got {width} x {height} = {width * height} at {at}",
        at,
    )


def upright_size(image: "Image.Image") -> tuple[int, int]:
    """Width and height as the picture is to be seen; before its pixels are read, as far as its header tells."""
    width, height = image.size
    if image.format == "TIFF":  # turned by its reader
        return width, height
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _orientation(image: "Image.Image") -> int:
    """The EXIF orientation, 1..8; 1 where there is none or its block is damaged, as viewers do."""
    from PIL import Image

    try:
        # Not the method of the PNG reader, which decodes all of a picture whose header says nothing of it.
        orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a damaged block of metadata does not make a bad picture
        return 1
    return orientation if isinstance(orientation, int) else 1
