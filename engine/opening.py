"""Which picture files are opened, and by which of Pillow's readers."""

import io
import struct
from contextlib import suppress
from typing import Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from engine.interface import EngineError
from protocol.errors import ErrorCode

# Importing a reader registers it; Pillow would otherwise do so for the commonest formats only.
_READERS: Final = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    WebPImagePlugin.WebPImageFile,
    AvifImagePlugin.AvifImageFile,
    GifImagePlugin.GifImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
    PpmImagePlugin.PpmImageFile,
    IcoImagePlugin.IcoImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
READABLE_FORMATS: Final = tuple(reader.format for reader in _READERS if reader.format in Image.OPEN)
"""Pillow's names of what is read. Not everything Pillow knows: some of its readers run other programs."""
DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, OverflowError, struct.error)
"""Pillow's readers let the errors of their parsing through as they come."""


def open_picture(content: bytes) -> Image.Image:
    """What `Image.open` does, without its own pixel cap: ours was checked before the job was accepted."""
    for name in READABLE_FORMATS:
        read, accepts = Image.OPEN[name]
        if accepts is not None and accepts(content[:16]) is True:
            return read(io.BytesIO(content), "")
    with suppress(SyntaxError):
        # Its files have no mark to know them by: the reader looks whether the header makes sense.
        return TgaImagePlugin.TgaImageFile(io.BytesIO(content), "")
    raise EngineError(ErrorCode.BAD_IMAGE, f"image: is none of {', '.join(READABLE_FORMATS)}, TGA")
