"""Pictures as IOPaint's clients send them, and masks as they want to see them.

Sent is base64, or a data URL, read as leniently as Python reads base64. Shown is a mask as a layer to lay on a picture.
"""

import base64
import binascii
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.iopaint.errors import Refused
from service.probe import open_header, upright_size

if TYPE_CHECKING:
    from PIL import Image

_DATA_PREFIXES: Final = ("data:image/", "data:application/octet-stream;base64,")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/=]")
BRUSH: Final = (255, 203, 0, 186)
"""The colour of the page's brush, half transparent."""
_MASKED_FROM: Final = 128


class Size(NamedTuple):
    """Of an upright picture, in pixels."""

    width: int
    height: int


def decode_picture(text: str | None, name: str, max_bytes: int) -> bytes:
    """The file in a field. Line breaks and characters that base64 has not are passed over. Blocks.

    Never an address: what looks like one is no base64.

    Args:
        name: of the field, for messages.

    Raises:
        Refused: 400: there is none, or it cannot be read.
        ProtocolError: `too_large`.
    """
    if not text:
        raise Refused(400, f"{name}: expected a picture as base64 or as a data URL, got nothing")
    if text.startswith(_DATA_PREFIXES):
        _, marker, text = text.partition(";base64,")
        if not marker:
            raise Refused(400, f"{name}: expected ;base64, in the data URL")
    if len(text) * 3 // 4 > max_bytes:
        raise ProtocolError(ErrorCode.TOO_LARGE, f"{name}: larger than the allowed {max_bytes} bytes")
    if ":" in text[:16]:
        raise Refused(400, f"{name}: expected base64 or a data URL of a picture, got {text[:16]!r}")
    try:
        try:
            content = base64.b64decode(text, validate=True)
        except ValueError:
            content = base64.b64decode(_FOREIGN.sub("", text))
    except (binascii.Error, ValueError):
        raise Refused(400, f"{name}: not base64, or cut off in the middle") from None
    if not content:
        raise Refused(400, f"{name}: expected a picture, got an empty file")
    return content


def header(file: BinaryIO) -> "Image.Image | None":
    """Read the header of a picture file; None if it is none. No pixel is decoded. Blocks."""
    try:
        return open_header(file)
    except Exception:  # noqa: BLE001 - a reader fed with garbage raises whatever it likes
        return None


def size_of(content: bytes, name: str) -> Size:
    """The size of a picture file, from its header. Blocks.

    Raises:
        Refused: 400: it is no picture.
    """
    image = header(io.BytesIO(content))
    if image is None:
        raise Refused(400, f"{name}: not a picture of a format that is read here")
    with image:
        return Size(*upright_size(image))


def painted(mask: Path) -> bytes:
    """A mask of ours as a PNG in the colour of the page's brush, transparent where nothing is masked. Blocks.

    Args:
        mask: the file of a grey picture; white is masked.
    """
    from PIL import Image

    with Image.open(mask) as grey:
        shape = grey.convert("L").point([255 if level >= _MASKED_FROM else 0 for level in range(256)])
    layer = Image.new("RGBA", shape.size, (0, 0, 0, 0))
    layer.paste(BRUSH, mask=shape)
    buffer = io.BytesIO()
    layer.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
