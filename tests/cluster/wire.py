"""Between one member of a cluster and NATS: a wire that can be cut, and mended."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Wire:
    """Passes bytes on to a port of this machine, until it is cut. For an event loop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._is_whole = True

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections, and let nobody through."""
        self._is_whole = False
        for pipe in self._pipes:
            pipe.cancel()

    def mend(self) -> None:
        self._is_whole = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._pipes:
            await asyncio.wait(self._pipes)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self._is_whole:
            writer.transport.abort()
            return
        self._pipes.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
                ways = [
                    asyncio.create_task(_pass_on(reader, inner_writer)),
                    asyncio.create_task(_pass_on(inner_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    inner_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._pipes.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
