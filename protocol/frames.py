"""Binary frames of the JSON subprotocol: u32 big-endian header length, JSON header, image bytes."""

import struct
from typing import Final

from protocol.errors import ErrorCode, ProtocolError

_LENGTH: Final = struct.Struct(">I")
MAX_HEADER_BYTES: Final = 64 * 1024


def pack(header: bytes, payload: bytes) -> bytes:
    """Return one frame that carries a JSON `header` (already encoded) and the bytes it speaks of."""
    return b"".join((_LENGTH.pack(len(header)), header, payload))


def unpack(frame: bytes) -> tuple[bytes, bytes]:
    """Split a frame into its JSON header (still encoded) and its payload.

    Raises:
        ProtocolError: `malformed`; the frame is shorter than it says, or its header longer than is allowed.
    """
    if len(frame) < _LENGTH.size:
        raise ProtocolError(ErrorCode.MALFORMED, f"binary frame: expected at least 4 bytes, got {len(frame)}")
    (length,) = _LENGTH.unpack_from(frame)
    if length > MAX_HEADER_BYTES:
        raise ProtocolError(
            ErrorCode.MALFORMED, f"binary frame: header of {length} bytes, allowed are {MAX_HEADER_BYTES}"
        )
    end = _LENGTH.size + length
    if end > len(frame):
        raise ProtocolError(ErrorCode.MALFORMED, f"binary frame: header of {length} bytes in a frame of {len(frame)}")
    return frame[_LENGTH.size : end], frame[end:]
