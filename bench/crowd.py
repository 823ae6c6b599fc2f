"""Many clients of Fooocus' dialects, in a process of their own: half wait in a call, half read a stream.

Whoever has been answered asks again over the same connection, so that their number stays the same.
"""

import contextlib
import multiprocessing
import select
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from bench.keepalive import Keepalive

CALL_PATH: Final = "/v1/generation/text-to-image"
STREAM_PATH: Final = "/v1/engine/generate/"
_ASKED: Final = b'{"prompt":"a red apple","image_seed":7,"aspect_ratios_selection":"128*96"%s}'
_CALL: Final = _ASKED % b""
_STREAM: Final = _ASKED % b',"stream_output":true'
_GOOD: Final = b"HTTP/1.1 200 "
_LAST_CHUNK: Final = b"0\r\n\r\n"
_MESSAGE: Final = b"data: {"
_RECEIVE_BYTES: Final = 1 << 18
_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """What a crowd got while it was there.

    Attributes:
        calls: waiting calls that were answered.
        streams: streams that ended.
        messages: of streams.
    """

    calls: int
    streams: int
    messages: int


class Crowd:
    """Clients that come and leave together."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def come(self) -> None:
        """Have all ask; returns when all requests are sent."""
        self._pipe.send("come")
        self._answer()

    def leave(self) -> Served:
        """Have all hang up, in the middle of what they wait for.

        Raises:
            ConnectionError: somebody was not answered well.
        """
        self._pipe.send("leave")
        return self._answer()

    def _answer(self) -> Served:
        answer = self._pipe.recv()
        if isinstance(answer, ConnectionError):
            raise answer
        assert isinstance(answer, Served)
        return answer


@contextlib.contextmanager
def crowd(port: int, clients: int) -> Iterator[Crowd]:
    """A crowd of `clients` of each kind, at first absent."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_main, args=(there, port, clients), daemon=True)
    process.start()
    there.close()  # or the end of the process would not end the pipe
    try:
        yield Crowd(here)
    finally:
        with contextlib.suppress(BrokenPipeError):
            here.send("stop")
        process.join(_GRACE_S)
        process.kill()


# ---- in the other process ------------------------------------------------------------------------------------------


class _Caller:
    """One that waits for the whole answer."""

    def __init__(self, port: int) -> None:
        self.client = Keepalive(port)

    def ask(self) -> None:
        self.client.send("POST", CALL_PATH, _CALL)

    def feed(self, received: bytes) -> bool:
        """Returns whether the answer is whole."""
        return self.client.feed(received) is not None


class _Reader:
    """One that reads a stream to its end."""

    def __init__(self, port: int) -> None:
        self.client = Keepalive(port)
        self.messages = 0
        self._head = self._tail = b""

    def ask(self) -> None:
        self.client.send("POST", STREAM_PATH, _STREAM)
        self._head = self._tail = b""

    def feed(self, received: bytes) -> bool:
        """Returns whether the stream has ended; a message that came in two parts is not counted."""
        if not received:
            raise ConnectionError("the server closed the connection of a stream")
        if len(self._head) < len(_GOOD):
            self._head += received[: len(_GOOD)]
            if not _GOOD.startswith(self._head[: len(_GOOD)]):
                raise ConnectionError(f"a stream was answered {received!r:.200}")
        self.messages += received.count(_MESSAGE)
        self._tail = (self._tail + received[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
        return self._tail == _LAST_CHUNK


class _Everybody:
    def __init__(self, port: int, clients: int) -> None:
        self._callers = [_Caller(port) for _ in range(clients)]
        self._readers = [_Reader(port) for _ in range(clients)]
        self._ended = {False: 0, True: 0}
        self._poll = select.epoll()
        self._all = {each.client.socket.fileno(): each for each in (*self._callers, *self._readers)}
        for file, each in self._all.items():
            self._poll.register(file, select.EPOLLIN)
            each.ask()

    def served(self) -> Served:
        return Served(self._ended[False], self._ended[True], sum(each.messages for each in self._readers))

    def serve_until(self, pipe: Connection) -> str:
        """Read and ask again, until there is an order."""
        self._poll.register(pipe.fileno(), select.EPOLLIN)
        while True:
            for file, _ in self._poll.poll():
                if file == pipe.fileno():
                    order: str = pipe.recv()
                    return order
                each = self._all[file]
                if each.feed(each.client.socket.recv(_RECEIVE_BYTES)):
                    self._ended[isinstance(each, _Reader)] += 1
                    each.ask()

    def close(self) -> None:
        self._poll.close()
        for each in self._all.values():
            each.client.close()


def _main(pipe: Connection, port: int, clients: int) -> None:
    while pipe.recv() == "come":
        try:
            with contextlib.closing(_Everybody(port, clients)) as everybody:
                pipe.send(everybody.served())
                order = everybody.serve_until(pipe)
                served = everybody.served()
        except ConnectionError as error:
            pipe.send(error)
            return
        if order == "stop":
            return
        pipe.send(served)
