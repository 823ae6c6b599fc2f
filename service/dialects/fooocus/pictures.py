"""Pictures as clients of Fooocus' APIs send them: base64, a data URL or an address; and some words for none."""

import base64
import binascii
from collections.abc import Callable
from typing import Final

import anyio.to_thread

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.base import Desk

_NO_PICTURE: Final = frozenset({"", "none", "null", "string"})
"""Whatever the case of the letters; the last is what the pages of API documents send."""
_ADDRESS: Final = ("http://", "https://")
_DATA: Final = "data:"
_BASE64: Final = ";base64,"


async def picture_in(desk: Desk, text: str | None, field: str) -> bytes | None:
    """The file that a field of a request gives; None for no picture.

    Args:
        field: its JSONPath in what the client sent, without `$.`, for messages.

    Raises:
        ProtocolError: `bad_image`, `too_large` or `fetch_failed`.
    """
    if text is None or text.strip().lower() in _NO_PICTURE:
        return None
    if text.startswith(_ADDRESS):
        return await desk.fetch(text, f"$.{field}")
    return await anyio.to_thread.run_sync(_decoded, text, field, desk.services.settings.max_upload_bytes)


async def needed_picture(desk: Desk, text: str | None, field: str) -> bytes:
    """The file that a field of a request gives, where there has to be one.

    Raises:
        ProtocolError: as `picture_in`; `bad_image`: there is none.
    """
    found = await picture_in(desk, text, field)
    if found is None:
        raise ProtocolError(ErrorCode.BAD_IMAGE, f"{field}: expected a picture, got none", f"$.{field}")
    return found


def _decoded(text: str, field: str, max_bytes: int) -> bytes:
    """Decode base64, or a data URL. Blocks."""

    def refused(reason: str) -> ProtocolError:
        return ProtocolError(ErrorCode.BAD_IMAGE, f"{field}: {reason}", f"$.{field}")

    encoded = _encoded(text, refused)
    if len(encoded) * 3 // 4 > max_bytes:
        message = f"{field}: expected a file of at most {max_bytes} bytes, got more"
        raise ProtocolError(ErrorCode.TOO_LARGE, message, f"$.{field}")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused("expected base64, a data URL or an http(s) URL of a picture, got none of these") from None
    if not content:
        raise refused("expected a picture, got an empty file")
    return content


def _encoded(text: str, refused: Callable[[str], ProtocolError]) -> str:
    if not text.startswith(_DATA):
        return text
    _, marker, encoded = text.partition(_BASE64)
    if not marker:
        raise refused("expected ;base64, in the data URL")
    return encoded
