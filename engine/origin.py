"""What a picture's file was beside its pixels: its format, and what it said of itself that a new file may say too."""

import math
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from PIL import ExifTags, Image

_MOST_EXIF_BYTES: Final = 65_000
"""A JPEG holds it in one segment."""
_EXIF_START: Final = b"Exif\x00\x00"
_INCHES_PER_METRE: Final = 1 / 0.0254
_PNG_HEADER_BYTES: Final = 33
"""Signature and first chunk; what describes the picture stands right behind."""
_PARAMETERS: Final = "parameters"
_SCHEME: Final = "fooocus_scheme"
_MOST_TEXT: Final = 1 << 20
_EXIF_BLOCK: Final = 0x8769
_USER_COMMENT: Final = 0x9286
_MAKER_NOTE: Final = 0x927C
_SOFTWARE: Final = 0x0131
_UNICODE: Final = b"UNICODE\x00"


class FileFormat(StrEnum):
    """The formats that files can be written in."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    BMP = "bmp"
    GIF = "gif"
    TIFF = "tiff"
    PPM = "ppm"


MEDIA_TYPES: Final[Mapping[FileFormat, str]] = {
    FileFormat.PNG: "image/png",
    FileFormat.JPEG: "image/jpeg",
    FileFormat.WEBP: "image/webp",
    FileFormat.BMP: "image/bmp",
    FileFormat.GIF: "image/gif",
    FileFormat.TIFF: "image/tiff",
    FileFormat.PPM: "image/x-portable-pixmap",
}
TRANSPARENT: Final = frozenset({FileFormat.PNG, FileFormat.WEBP, FileFormat.BMP, FileFormat.GIF, FileFormat.TIFF})
"""The formats that can say how transparent a pixel is."""
PROFILED: Final = frozenset({FileFormat.PNG, FileFormat.JPEG, FileFormat.WEBP, FileFormat.TIFF})
"""The formats that can hold a colour profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a picture came from.

    Attributes:
        format: what a file of the same kind is written in; JPEG for kinds that are read but not written.
        dpi: pixels per inch, across and down.
        icc_profile: that its colours are in, if they were left as they were; None means sRGB.
        exif: the block without the orientation, for the picture is upright.
        parameters: the text that programs which make pictures keep under this name in PNG files.
        scheme: that Fooocus says this text is in.
    """

    format: FileFormat
    dpi: tuple[float, float] | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    parameters: str | None = None
    scheme: str | None = None

    def options(self, file_format: FileFormat) -> dict[str, Any]:
        """What Pillow's writer of that format is told; nothing for PNG, see `into_png`."""
        told: dict[str, Any] = {}
        if file_format in {FileFormat.JPEG, FileFormat.BMP, FileFormat.TIFF} and self.dpi is not None:
            told["dpi"] = self.dpi
        if file_format in PROFILED and file_format is not FileFormat.PNG and self.icc_profile is not None:
            told["icc_profile"] = self.icc_profile
        if file_format in {FileFormat.JPEG, FileFormat.WEBP} and self.exif is not None:
            told["exif"] = self.exif
        return told

    def into_png(self, content: bytes) -> bytes:
        """A PNG file that says all this too.

        Source: Portable Network Graphics specification, third edition, sections 5 and 11.
        """
        chunks = b""
        if self.icc_profile is not None:
            chunks += _chunk(b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(self.icc_profile))
        if self.dpi is not None:
            per_metre = (min(0x7FFF_FFFF, round(value * _INCHES_PER_METRE)) for value in self.dpi)
            chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
        if self.exif is not None:
            chunks += _chunk(b"eXIf", self.exif.removeprefix(_EXIF_START))
        if self.parameters is not None:
            chunks += _text(_PARAMETERS, self.parameters)
        if self.scheme is not None:
            chunks += _text(_SCHEME, self.scheme)
        return content[:_PNG_HEADER_BYTES] + chunks + content[_PNG_HEADER_BYTES:]


def read_origin(image: Image.Image, icc_profile: bytes | None) -> Origin:
    """Of an opened file whose pixels were read, for some formats say it behind them.

    Args:
        icc_profile: that the pixels are in; None if they were converted to sRGB.
    """
    parameters, scheme = (image.info.get(key) if image.format == "PNG" else None for key in (_PARAMETERS, _SCHEME))
    return Origin(
        format=_FORMATS.get(str(image.format), FileFormat.JPEG),
        dpi=_dpi(image.info.get("dpi")),
        icc_profile=icc_profile,
        exif=_exif(image),
        parameters=parameters[:_MOST_TEXT] if isinstance(parameters, str) else None,
        scheme=scheme[:_MOST_TEXT] if isinstance(scheme, str) else None,
    )


def signed(origin: Origin, file_format: FileFormat, text: str, scheme: str, software: str) -> Origin | None:
    """The same, with a text that says what the picture was made with, for a file of that format.

    In PNG as the texts `parameters` and `fooocus_scheme`. In JPEG and WebP in the EXIF block: where Fooocus reads it
    (its first directory) with characters that are not ASCII lost, and where other programs do (its own directory).

    Args:
        scheme: of the text; `fooocus` or `a1111`.
        software: what made the picture, in which version.

    Returns:
        None: the format has no place for it, or not for so much.

    Source: Exif 2.32, tags 0x9286 (user comment), 0x927C (maker note) and 0x0131 (software).
    """
    if file_format is FileFormat.PNG:
        return replace(origin, parameters=text, scheme=scheme)
    if file_format not in {FileFormat.JPEG, FileFormat.WEBP}:
        return None
    for exif in (origin.exif, None):
        block = _signed_exif(exif, text, scheme, software)
        if len(block) <= _MOST_EXIF_BYTES:
            return replace(origin, exif=block)
    return None


def _signed_exif(exif: bytes | None, text: str, scheme: str, software: str) -> bytes:
    block = Image.Exif()
    if exif is not None:
        with suppress(Exception):  # a damaged block raises whatever it likes, and is as good as none
            block.load(exif)
    block[_SOFTWARE] = software
    block[_MAKER_NOTE] = scheme
    block[_USER_COMMENT] = text
    block.get_ifd(_EXIF_BLOCK)[_USER_COMMENT] = _UNICODE + text.encode("utf-16-be", "replace")
    return block.tobytes()


_FORMATS: Final[Mapping[str, FileFormat]] = {"MPO": FileFormat.JPEG} | {each.upper(): each for each in FileFormat}
"""Pillow's name of a format -> the same here."""


def _dpi(told: object) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in told)  # type: ignore[attr-defined] # whatever the file says
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    is_usable = all(math.isfinite(value) and 0 < value < 1e6 for value in (across, down))
    return (across, down) if is_usable else None


def _exif(image: Image.Image) -> bytes | None:
    """The block as it was if the picture stood upright: what its maker noted there may hold offsets."""
    content = image.info.get("exif")
    # In a TIFF the same tags say where the pixels are.
    if not isinstance(content, bytes) or image.format == "TIFF" or len(content) > _MOST_EXIF_BYTES:
        return None
    try:
        tags = image.getexif()
        if ExifTags.Base.Orientation not in tags:
            return content
        del tags[ExifTags.Base.Orientation]
        return tags.tobytes() if len(tags) else None
    except Exception:  # noqa: BLE001 - a damaged block raises whatever it likes, and makes no bad picture
        return None


def _text(key: str, text: str) -> bytes:
    try:
        return _chunk(b"tEXt", key.encode("ascii") + b"\x00" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", key.encode("ascii") + b"\x00\x00\x00\x00\x00" + text.encode("utf-8", "replace"))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
