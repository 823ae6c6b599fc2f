"""A client that always has the same number of null jobs under way: the end of one is answered with the next."""

import contextlib
import select
import time
from abc import ABC, abstractmethod
from typing import Final

from bench.frames import FrameCounter, client_frame, open_socket
from bench.keepalive import Keepalive

JOB: Final = b'{"task":"test_pattern","params":{"width":8,"height":8,"steps":0},"previews":"none"}'
LOW_JOB: Final = JOB[:-1] + b',"priority":"low"}'
_RECEIVE_BYTES: Final = 1 << 18
_PREFER_WAIT: Final = "Prefer: wait=30\r\n"


class Load(ABC):
    """A constant number of jobs under way."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once

    def begin(self) -> None:
        """Submit the first jobs."""
        self._submit(self._at_once)

    def rate(self, seconds: float) -> float:
        """Ended jobs per second, over about `seconds`; the same number is under way before and after."""
        count = 0
        began_at = time.perf_counter()
        while (elapsed_s := time.perf_counter() - began_at) < seconds:
            if ended := self._ended():
                count += ended
                self._submit(ended)
        return count / elapsed_s

    def finish(self) -> None:
        """Wait for what is under way."""
        left = self._at_once
        while left:
            left -= self._ended()

    @abstractmethod
    def close(self) -> None:
        """Drop the connections."""

    @abstractmethod
    def _submit(self, count: int) -> None:
        """Submit so many."""

    @abstractmethod
    def _ended(self) -> int:
        """Wait for something; returns how many jobs ended."""


class SocketLoad(Load):
    """All jobs over one WebSocket.

    Args:
        job: submitted again and again.
    """

    def __init__(self, port: int, path: str, at_once: int, job: bytes = JOB) -> None:
        super().__init__(at_once)
        self._socket = open_socket(port, path)
        self._message = client_frame(b'{"type":"submit","ref":"1","job":%s}' % job)
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._counter = FrameCounter()

    def close(self) -> None:
        self._socket.close()

    def _submit(self, count: int) -> None:
        self._socket.sendall(self._message * count)

    def _ended(self) -> int:
        self._counter.reset()
        size = self._socket.recv_into(self._buffer)
        if size == 0:
            raise ConnectionError("the server closed the socket")
        self._counter.feed(self._buffer, size)
        return self._counter.ends


class RestLoad(Load):
    """Each job a POST that is answered when the job has ended, over a connection of its own that is kept."""

    def __init__(self, port: int, path: str, at_once: int) -> None:
        super().__init__(at_once)
        self._path = path
        self._poll = select.epoll()
        self._clients = {client.socket.fileno(): client for client in (Keepalive(port) for _ in range(at_once))}
        self._idle = list(self._clients.values())
        for file in self._clients:
            self._poll.register(file, select.EPOLLIN)

    def close(self) -> None:
        self._poll.close()
        for client in self._clients.values():
            client.close()

    def _submit(self, count: int) -> None:
        for _ in range(count):
            self._idle.pop().send("POST", self._path, JOB, _PREFER_WAIT)

    def _ended(self) -> int:
        before = len(self._idle)
        for file, _ in self._poll.poll():
            client = self._clients[file]
            if client.feed(client.socket.recv(_RECEIVE_BYTES)) is not None:
                self._idle.append(client)
        return len(self._idle) - before


def rate(load: Load, seconds: float) -> float:
    """Begin, measure, and leave nothing behind."""
    with contextlib.closing(load):
        load.begin()
        jobs_per_s = load.rate(seconds)
        load.finish()
    return jobs_per_s
