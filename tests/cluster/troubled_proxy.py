"""A TCP proxy before an object store that does what networks do to it: answers late, hangs, or cuts."""

import asyncio
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self


class Trouble(StrEnum):
    """What happens to a connection."""

    NONE = "none"
    LATE = "late"
    """Each piece of an answer comes after a pause."""
    HANGS = "hangs"
    """Nothing is answered."""
    ANSWER_CUT = "answer cut"
    """The answer ends after some bytes."""
    QUESTION_CUT = "question cut"
    """Some bytes of the question arrive, and no more."""


class TroubledProxy:
    """Passes bytes on to a port of this machine.

    Args:
        times: connections that have the trouble; later ones have none.
        after_bytes: where it is cut.
        pause_s: of late answers.
        at: the port it listens at; 0 takes a free one.
    """

    def __init__(
        self,
        port: int,
        trouble: Trouble = Trouble.NONE,
        *,
        times: int = 1 << 30,
        after_bytes: int = 0,
        pause_s: float = 0,
        at: int = 0,
    ) -> None:
        self.trouble = trouble
        self.times = times
        self.connections = 0
        self._target = port
        self._after_bytes = after_bytes
        self._pause_s = pause_s
        self._at = at
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._is_over = asyncio.Event()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._at)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0)  # a connection that has just been accepted comes to `_accept`
        self._is_over.set()  # nothing is cancelled: a connection that is being made would be lost
        while self._pipes:
            await asyncio.wait(self._pipes)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        self.connections += 1
        trouble = self.trouble if self.connections <= self.times else Trouble.NONE
        try:
            with suppress(OSError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
                pipes: list[asyncio.Task[Any]] = [
                    asyncio.create_task(self._is_over.wait()),
                    asyncio.create_task(self._ask(reader, inner_writer, trouble)),
                    asyncio.create_task(self._answer(inner_reader, writer, trouble)),
                ]
                try:
                    await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pipe in pipes:
                        pipe.cancel()
                    await asyncio.gather(*pipes, return_exceptions=True)
                    inner_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._pipes.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trouble: Trouble) -> None:
        left = self._after_bytes
        while content := await reader.read(65536):
            if trouble is Trouble.QUESTION_CUT and left < len(content):
                writer.write(content[:left])
                await writer.drain()
                return
            left -= len(content)
            writer.write(content)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trouble: Trouble) -> None:
        left = self._after_bytes
        while content := await reader.read(65536):
            if trouble is Trouble.HANGS:
                await asyncio.get_running_loop().create_future()
            if trouble is Trouble.LATE:
                await asyncio.sleep(self._pause_s)
            if trouble is Trouble.ANSWER_CUT and left < len(content):
                writer.write(content[:left])
                await writer.drain()
                return
            left -= len(content)
            writer.write(content)
            await writer.drain()
