"""The client's side of a WebSocket with as little in it as possible: it must never be what is measured.

Frames are found and counted; nothing is decoded but the stamp at the end of a preview.

Source: RFC 6455, sections 4.1 (handshake) and 5.2 (frames).
"""

import socket
from typing import Final

from bench.stamp import STAMP

JSON_SUBPROTOCOL: Final = "safelight.v1.json"
MSGPACK_SUBPROTOCOL: Final = "safelight.v1.msgpack"
PREVIEW_LEAST_BYTES: Final = 10_000
"""A frame longer than this is a preview."""
END: Final = b"job.succeeded"
TIMEOUT_S: Final = 60.0
_MASK: Final = b"\0\0\0\0"
"""Must be there, and may be anything: with zeros the payload stays as it is."""


def connect(port: int) -> socket.socket:
    """A plain connection to this machine, without Nagle's delay."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def open_socket(port: int, path: str, subprotocol: str | None = JSON_SUBPROTOCOL) -> socket.socket:
    """A WebSocket, ready for frames.

    Raises:
        ConnectionError: the server refused.
    """
    connection = connect(port)
    offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: c2FmZWxpZ2h0IGJlbmNoIQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        received = connection.recv(1)  # not one byte of the first frame may be taken
        if not received:
            raise ConnectionError(f"the server closed the connection: {answer!r:.200}")
        answer += received
    if b" 101 " not in answer.partition(b"\r\n")[0]:
        raise ConnectionError(f"the server refused the WebSocket: {answer!r:.200}")
    return connection


def client_frame(payload: bytes, *, is_binary: bool = False) -> bytes:
    """One whole, masked frame."""
    first, size = 0x82 if is_binary else 0x81, len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + _MASK + payload
    if size < 1 << 16:
        return bytes((first, 0x80 | 126)) + size.to_bytes(2, "big") + _MASK + payload
    return bytes((first, 0x80 | 127)) + size.to_bytes(8, "big") + _MASK + payload


class FrameCounter:
    """Counts the frames in a stream of bytes that arrives in pieces.

    Attributes:
        frames: whole data frames so far.
        previews: those longer than `PREVIEW_LEAST_BYTES`.
        size_bytes: of all that arrived.
        stamps: of previews whose stamp arrived in one piece, nanoseconds.
        ends: frames that tell of a job's success.
    """

    __slots__ = ("_head", "_left", "_size", "ends", "frames", "previews", "size_bytes", "stamps")

    def __init__(self) -> None:
        self._left = 0
        self._size = 0
        self._head = b""
        self.reset()

    def reset(self) -> None:
        """Count from nothing; a frame that has begun goes on."""
        self.frames = self.previews = self.size_bytes = self.ends = 0
        self.stamps: list[int] = []

    def feed(self, data: bytes | bytearray | memoryview, size: int) -> None:
        """Take the first `size` bytes of `data`."""
        self.size_bytes += size
        position = 0
        if self._head:
            data = self._head + bytes(data[:size])
            size, self._head = len(data), b""
        elif self._left:
            if self._left > size:
                self._left -= size
                return
            position = self._left
            self._finish(data, 0, position)
        while position < size:
            begin = _payload_at(data, position, size)
            if begin is None:
                self._head = bytes(data[position:size])
                return
            end = begin[0] + begin[1]
            if end > size and begin[1] < PREVIEW_LEAST_BYTES:  # it will be looked into: wait for the rest
                self._head = bytes(data[position:size])
                return
            position, self._size = end, begin[1]
            if position > size:
                self._left = position - size
                return
            self._finish(data, begin[0], position)

    def _finish(self, data: bytes | bytearray | memoryview, begin: int, end: int) -> None:
        """A frame is complete; what this piece has of it lies from `begin` to `end`."""
        self._left = 0
        self.frames += 1
        if self._size >= PREVIEW_LEAST_BYTES:
            self.previews += 1
            if end - begin >= STAMP.size:
                self.stamps.append(STAMP.unpack_from(data, end - STAMP.size)[0])
        elif END in bytes(data[begin:end]):
            self.ends += 1


def _payload_at(data: bytes | bytearray | memoryview, position: int, size: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `position` begins, and its length; None if the header is not whole."""
    if size - position < 2:
        return None
    length = data[position + 1]
    if length < 126:
        return position + 2, length
    wide = 2 if length == 126 else 8
    if size - position < 2 + wide:
        return None
    return position + 2 + wide, int.from_bytes(data[position + 2 : position + 2 + wide], "big")
