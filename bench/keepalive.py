"""A blocking HTTP/1.1 client with one connection and next to nothing in it, so that the server is what is measured."""

import socket
from types import TracebackType
from typing import Final, Self

from bench.frames import connect

_RECEIVE_BYTES: Final = 1 << 16


class Keepalive:
    """One connection, one request at a time.

    `request` is all most need; `send` and `feed` are its halves, for whoever drives many connections at once.
    """

    def __init__(self, port: int) -> None:
        self.socket: socket.socket = connect(port)
        self._host = f"127.0.0.1:{port}"
        self._received = b""

    def request(self, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
        """Ask, and wait for the body of the answer.

        Raises:
            ConnectionError: the status is not of the 200s, or the connection ended.
        """
        self.send(method, path, body, headers)
        while True:
            received = self.socket.recv(_RECEIVE_BYTES)
            answer = self.feed(received)
            if answer is not None:
                return answer

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        """Ask; `headers` are whole lines with their line ends."""
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{headers}{content}\r\n"
        self.socket.sendall(head.encode() + body)

    def feed(self, received: bytes) -> bytes | None:
        """Take what came; returns the body once it is whole."""
        if not received:
            raise ConnectionError("the server closed the connection")
        self._received += received
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return None
        size = 0
        for line in head.lower().split(b"\r\n")[1:]:
            if line.startswith(b"content-length:"):
                size = int(line[15:])
        if len(body) < size:
            return None
        self._received = b""
        if not head[9:10] == b"2":
            raise ConnectionError(f"the server answered {head[9:12]!r}: {body!r:.200}")
        return body

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
