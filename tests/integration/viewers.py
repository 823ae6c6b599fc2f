"""Clients for tests: a socket that speaks messages, and one on raw TCP that can stop reading."""

import base64
import os
import random
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from protocol.codec import JSON, Codec
from protocol.events import FACTS, TERMINAL_FACTS
from tests.servers import DEADLINE_S, Address

FACT_TYPES = frozenset(body.TYPE for body in FACTS)
TERMINAL_TYPES = frozenset(body.TYPE for body in TERMINAL_FACTS)
Message = dict[str, Any]


class Viewer:
    """A WebSocket client. Whatever comes while it looks for something else is kept, in order.

    Args:
        headers: sent with the handshake.
        offered: subprotocols beside the codec's own.
    """

    def __init__(
        self,
        server: Address,
        codec: Codec = JSON,
        *,
        headers: Mapping[str, str] | None = None,
        offered: Sequence[str] = (),
    ) -> None:
        self.codec = codec
        self.frames: list[str | bytes] = []
        """Every frame that has come, as it came."""
        self._context = connect(
            server.ws_url,
            subprotocols=[Subprotocol(name) for name in (codec.subprotocol, *offered)],
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=None,
            open_timeout=3 * DEADLINE_S,
            close_timeout=DEADLINE_S,
        )
        self.connection = self._context.__enter__()
        self._kept: list[Message] = []
        self._refs = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def say(self, kind: str, **fields: object) -> str:
        """Send a message; returns its ref."""
        ref = f"r{next(self._refs)}"
        content = self.codec.encode({"type": kind, "ref": ref, **fields})
        self.connection.send(content if self.codec.messages_are_binary else content.decode())
        return ref

    def ask(self, kind: str, **fields: object) -> Message:
        """Send a message and wait for its reply; events that come before it are kept for `next`."""
        ref = self.say(kind, **fields)
        passed = []
        while True:
            message = self.next()
            if message["type"] == "reply" and message.get("ref") == ref:
                self._kept = passed + self._kept
                return message
            passed.append(message)

    def submit(self, task: str = "test_pattern", *, params: Mapping[str, object], **fields: object) -> Message:
        """Submit and watch a job; returns it."""
        reply = self.ask("submit", job={"task": task, "params": params, **fields})
        assert reply["ok"], reply
        job: Message = reply["job"]
        return job

    def next(self) -> Message:
        """The next message.

        Raises:
            ConnectionClosed: there will be none.
        """
        if self._kept:
            return self._kept.pop(0)
        frame = self.connection.recv(timeout=3 * DEADLINE_S)
        self.frames.append(frame)
        return self.codec.decode(frame)

    def until(self, *kinds: str, job_id: str | None = None) -> list[Message]:
        """The messages up to, and with, the first one of these types (and job)."""
        messages = []
        while True:
            message = self.next()
            messages.append(message)
            if message["type"] in kinds and job_id in {None, message.get("job_id")}:
                return messages

    def until_end(self, job_id: str | None = None) -> list[Message]:
        return self.until(*TERMINAL_TYPES, job_id=job_id)

    def forget(self) -> list[Message]:
        """What came while something else was looked for; `next` will not tell of it."""
        kept, self._kept = self._kept, []
        return kept

    def closed(self) -> tuple[int, str]:
        """Read to the end; returns the close code and its reason."""
        while True:
            try:
                self.next()
            except ConnectionClosed as closed:
                if closed.rcvd is None:
                    raise  # dropped without a word
                return closed.rcvd.code, closed.rcvd.reason

    def cut(self) -> None:
        """Lose the connection, without a word to the server."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class RawSocket:
    """A WebSocket by hand, on a small receive buffer: it reads only when it is told to.

    Attributes:
        status: of the answer to the handshake; 101 if it is open.
    """

    def __init__(
        self, server: Address, codec: Codec = JSON, *, host: str | None = None, headers: Sequence[str] = ()
    ) -> None:
        self._codec = codec
        self._socket = small_socket(server)
        self._buffer = bytearray()
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /v1/ws HTTP/1.1",
            f"Host: {f'127.0.0.1:{server.port}' if host is None else host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {nonce}",
            f"Sec-WebSocket-Protocol: {codec.subprotocol}",
            *headers,
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        self.status = int(self._take_until(b"\r\n\r\n").split()[1])

    def say(self, kind: str, **fields: object) -> None:
        opcode = 2 if self._codec.messages_are_binary else 1
        self.send_frame(opcode, self._codec.encode({"type": kind, **fields}))

    def send_frame(self, opcode: int, payload: bytes) -> None:
        """One whole frame, masked with zeroes (RFC 6455, section 5.3 asks for a mask, not for a good one)."""
        size = len(payload)
        first = 0x80 | opcode
        if size < 126:
            head = struct.pack("!BB", first, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, size)
        self._socket.sendall(head + bytes(4) + payload)

    def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        opcode, size = self._take(2)
        size &= 0x7F
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return opcode & 0x0F, self._take(size)

    def read_to_close(self) -> tuple[list[Message], int]:
        """Everything up to the close frame, and its code."""
        messages = []
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                return messages, int.from_bytes(payload[:2], "big")
            if opcode in {1, 2}:
                messages.append(self._codec.decode(payload.decode() if opcode == 1 else payload))

    def set_patience(self, timeout_s: float) -> None:
        """How long reading and sending wait from now on, until they raise TimeoutError."""
        self._socket.settimeout(timeout_s)

    def close(self) -> None:
        self._socket.close()

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = self._socket.recv(1 << 16)
            assert chunk, "the connection ended without a close frame"
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _take_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            chunk = self._socket.recv(4096)
            assert chunk, bytes(self._buffer)
            self._buffer += chunk
        return self._take(self._buffer.index(mark) + len(mark))


def small_socket(server: Address) -> socket.socket:
    """A TCP connection that holds back its sender soon."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(3 * DEADLINE_S)
    connection.connect(("127.0.0.1", server.port))
    return connection


def watch_by_sse(
    http: httpx.Client, job_id: str, after: int, *, at_most_bytes: int | None = None
) -> Iterator[tuple[int | None, bytes]]:
    """Id and data of each whole event of a stream, until it ends or `at_most_bytes` have been read."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        if response.status_code == 204:
            return
        assert response.status_code == 200, response.read()
        buffer, size = b"", 0
        for chunk in response.iter_raw():
            if at_most_bytes is not None:
                chunk = chunk[: at_most_bytes - size]
            size += len(chunk)
            *whole, buffer = (buffer + chunk).split(b"\n\n")
            for block in whole:
                fields = dict(line.split(b": ", 1) for line in block.splitlines() if not line.startswith(b":"))
                if b"data" in fields:
                    yield (int(fields[b"id"]) if b"id" in fields else None), fields[b"data"]
            if at_most_bytes is not None and size >= at_most_bytes:
                return


def submit(http: httpx.Client, task: str = "test_pattern", **fields: Any) -> Message:
    """Submit a job by REST; returns it."""
    response = http.post("/v1/jobs", json={"task": task, **fields})
    assert response.status_code == 202, response.text
    job: Message = response.json()
    return job


def finished(http: httpx.Client, job_id: str) -> Message:
    """The job, once it has ended."""
    end = time.monotonic() + 6 * DEADLINE_S
    while time.monotonic() < end:
        response = http.get(f"/v1/jobs/{job_id}", params={"wait": DEADLINE_S})
        assert response.status_code == 200, response.text
        job: Message = response.json()
        if job["status"] in {"succeeded", "failed", "cancelled"}:
            return job
    raise AssertionError(f"job {job_id} did not end")


def facts_of(http: httpx.Client, job_id: str) -> list[Message]:
    """All facts of a job so far, as the long poll tells them."""
    events = http.get(f"/v1/jobs/{job_id}/events").raise_for_status().json()["events"]
    return [event for event in events if event["type"] in FACT_TYPES]


def started_running(http: httpx.Client, job_id: str) -> None:
    """Wait until a job is live."""
    seq = 0
    end = time.monotonic() + 3 * DEADLINE_S
    while time.monotonic() < end:
        answer = http.get(f"/v1/jobs/{job_id}/events", params={"after": seq, "wait": DEADLINE_S}).json()
        if any(event["type"] == "job.started" for event in answer["events"]):
            return
        seq = answer["seq"]
    raise AssertionError(f"job {job_id} did not start")


def png(width: int = 24, height: int = 16, *, seed: int = 0) -> bytes:
    """A small picture as a PNG file."""
    import io

    from PIL import Image

    image = Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def inline(content: bytes) -> str:
    """A picture as base64, as params take it."""
    return base64.b64encode(content).decode()
