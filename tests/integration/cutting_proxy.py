"""A TCP proxy that cuts connections at random places: after some bytes of the answer, in the middle of anything."""

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Passes bytes on to a port of this machine, and cuts until `cuts_left` is used up.

    Args:
        after_bytes: a connection is cut after a random number of answered bytes up to this.
    """

    def __init__(self, port: int, *, cuts: int, after_bytes: int, seed: int = 1) -> None:
        self.cuts_left = cuts
        self._target = port
        self._after_bytes = after_bytes
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in list(self._pipes):
            pipe.cancel()
        if self._pipes:
            await asyncio.wait(self._pipes)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    await self._pass_on(reader, writer, inner_reader, inner_writer)
                finally:
                    inner_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._pipes.discard(task)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner_reader: asyncio.StreamReader,
        inner_writer: asyncio.StreamWriter,
    ) -> None:
        question = asyncio.create_task(_copy(reader, inner_writer))
        try:
            allowance = self._random.randint(1, self._after_bytes)
            while content := await inner_reader.read(65536):
                if self.cuts_left and allowance < len(content):
                    self.cuts_left -= 1
                    writer.write(content[:allowance])
                    await writer.drain()
                    return
                allowance -= len(content)
                writer.write(content)
                await writer.drain()
        finally:
            question.cancel()
            await asyncio.wait([question])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
