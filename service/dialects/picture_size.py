"""How large a picture is, as far as its file says so before it is decoded."""

import io
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from protocol.errors import ErrorCode, ProtocolError
from service.probe import open_header, upright_size

if TYPE_CHECKING:
    from PIL import Image


class Size(NamedTuple):
    """Of an upright picture, in pixels."""

    width: int
    height: int


def header(file: BinaryIO) -> "Image.Image | None":
    """Read the header of a picture file; None if it is none. No pixel is decoded. Blocks."""
    try:
        return open_header(file)
    except Exception:  # noqa: BLE001 - a reader fed with garbage raises whatever it likes
        return None


def size_of(content: bytes, name: str) -> Size:
    """The size of a picture file, from its header. Blocks.

    Args:
        name: of the field it came in, for the message.

    Raises:
        ProtocolError: `bad_image`: it is no picture.
    """
    image = header(io.BytesIO(content))
    if image is None:
        raise ProtocolError(ErrorCode.BAD_IMAGE, f"{name}: not a picture of a format that is read here")
    with image:
        return Size(*upright_size(image))
