"""A picture in base64 or as a data URL, read as leniently as Python reads base64."""

import base64
import binascii
import re
from typing import Final

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.refusal import Refused

_DATA_PREFIXES: Final = ("data:image/", "data:application/octet-stream;base64,")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/=]")


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
