"""Many viewers in processes of their own: they read and count, as fast as one thread can."""

import contextlib
import multiprocessing
import os
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import msgpack
import orjson

from bench.frames import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL, FrameCounter, client_frame, connect, open_socket

_RECEIVE_BYTES: Final = 1 << 18
_READY: Final = b"bench-ready"
_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What viewers got of one job.

    Attributes:
        events: frames, of all viewers together.
        previews: those with a picture.
        size_bytes: all that came.
        delays_s: from telling of a preview to its being read, seconds.
        unfinished: viewers that had not heard of the end when the time was over.
    """

    events: int
    previews: int
    size_bytes: int
    delays_s: Sequence[float]
    unfinished: int = 0


class Viewers:
    """Connections to one server, spread over a few processes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def subscribe(self, job_id: str) -> None:
        """Have every viewer watch a job; returns when all have been told its past."""
        for pipe in self._pipes:
            pipe.send(("subscribe", job_id))
        for pipe in self._pipes:
            pipe.recv()

    def begin(self, wait_s: float) -> None:
        """Begin to count, until everybody has heard of the end, or for `wait_s` seconds."""
        for pipe in self._pipes:
            pipe.send(("watch", wait_s))
        for pipe in self._pipes:
            pipe.recv()

    def seen(self) -> Seen:
        """Wait until `begin` is over.

        Raises:
            RuntimeError: somebody has not heard of the end.
        """
        parts: list[Seen] = [pipe.recv() for pipe in self._pipes]
        if unfinished := sum(part.unfinished for part in parts):
            raise RuntimeError(f"{unfinished} viewers have not heard of the end of the job")
        return Seen(
            events=sum(part.events for part in parts),
            previews=sum(part.previews for part in parts),
            size_bytes=sum(part.size_bytes for part in parts),
            delays_s=[delay for part in parts for delay in part.delays_s],
        )


@contextlib.contextmanager
def viewers(port: int, count: int, *, path: str | None) -> Iterator[Viewers]:
    """Connect `count` viewers: WebSockets at `path`, every other one msgpack, or plain TCP where it is None."""
    context = multiprocessing.get_context("spawn")
    processes = max(1, min(4, len(os.sched_getaffinity(0)) - 1))
    pipes, running = [], []
    for number in range(processes):
        here, there = context.Pipe()
        share = range(number, count, processes)
        process = context.Process(target=_main, args=(there, port, list(share), path), daemon=True)
        process.start()
        there.close()  # or the end of the process would not end the pipe
        pipes.append(here)
        running.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        yield Viewers(pipes)
    finally:
        for pipe, process in zip(pipes, running, strict=True):
            with contextlib.suppress(BrokenPipeError):
                pipe.send(("stop", None))
            process.join(_GRACE_S)
            process.kill()  # one that still reads, from a server that no longer writes


# ---- in the other processes ----------------------------------------------------------------------------------------


class _Crowd:
    def __init__(self, port: int, numbers: Sequence[int], path: str | None) -> None:
        self._poll = select.epoll()
        self._counters: dict[int, FrameCounter] = {}
        self._sockets: dict[int, tuple[socket.socket, bool]] = {}
        self._buffer = bytearray(_RECEIVE_BYTES)
        for number in numbers:
            is_msgpack = bool(number % 2)
            subprotocol = MSGPACK_SUBPROTOCOL if is_msgpack else JSON_SUBPROTOCOL
            viewer = connect(port) if path is None else open_socket(port, path, subprotocol)
            self._sockets[viewer.fileno()] = (viewer, is_msgpack)
            self._counters[viewer.fileno()] = FrameCounter()
            self._poll.register(viewer, select.EPOLLIN)

    def subscribe(self, job_id: str) -> None:
        messages = ({"type": "subscribe", "job_id": job_id}, {"type": "ping", "ref": _READY.decode()})
        for file, (viewer, is_msgpack) in self._sockets.items():
            encode = msgpack.packb if is_msgpack else orjson.dumps
            viewer.sendall(b"".join(client_frame(encode(each), is_binary=is_msgpack) for each in messages))
            told = b""
            while _READY not in told:  # answers come in order: the past of the job is before this one
                size = viewer.recv_into(self._buffer)
                if size == 0:
                    raise ConnectionError("the server closed the socket of a viewer")
                told += self._buffer[:size]
                self._counters[file].feed(self._buffer, size)

    def watch(self, wait_s: float) -> Seen:
        counters, buffer, ended = self._counters, self._buffer, 0
        delays: list[float] = []
        until = time.monotonic() + wait_s
        while ended < len(counters) and time.monotonic() < until:
            for file, _ in self._poll.poll(1.0):
                size = self._sockets[file][0].recv_into(buffer)
                at = time.monotonic_ns()
                counter = counters[file]
                if size == 0:
                    self._poll.unregister(file)
                    continue
                counter.feed(buffer, size)
                if counter.stamps:
                    delays.extend((at - stamp) / 1e9 for stamp in counter.stamps)
                    counter.stamps.clear()
                if counter.ends:
                    ended += counter.ends
                    counter.ends = 0
        return Seen(
            events=sum(each.frames for each in counters.values()),
            previews=sum(each.previews for each in counters.values()),
            size_bytes=sum(each.size_bytes for each in counters.values()),
            delays_s=delays,
            unfinished=len(counters) - ended,
        )

    def reset(self) -> None:
        for counter in self._counters.values():
            counter.reset()


def _main(pipe: Connection, port: int, numbers: Sequence[int], path: str | None) -> None:
    crowd = _Crowd(port, numbers, path)
    pipe.send("connected")
    while True:
        order, argument = pipe.recv()
        if order == "subscribe":
            crowd.subscribe(argument)
            pipe.send("subscribed")
        elif order == "watch":
            crowd.reset()
            pipe.send("watching")
            pipe.send(crowd.watch(argument))
        else:
            return
