"""Between a client and NATS: loses one message on its way, there or back, and the connection with it."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class LossyProxy:
    """Passes bytes on to a port of this machine. For an event loop.

    Attributes:
        losing_there, losing_back: the next piece with these bytes in it is lost on its way to or from NATS.
        has_lost: set when one was.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.losing_there: bytes | None = None
        self.losing_back: bytes | None = None
        self.has_lost = asyncio.Event()
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close_after_loss(self) -> None:
        """Let nobody through again after the next loss, until `open`."""
        self._is_open.clear()

    def open(self) -> None:
        self._is_open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
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
                if self.has_lost.is_set():
                    await self._is_open.wait()
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    ways = {
                        asyncio.create_task(self._pass_on(reader, inner_writer, is_there=True)),
                        asyncio.create_task(self._pass_on(inner_reader, writer, is_there=False)),
                    }
                    try:
                        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for way in ways:
                            way.cancel()
                        await asyncio.wait(ways)
                finally:
                    inner_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._pipes.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_there: bool) -> None:
        with suppress(OSError):
            while content := await reader.read(65536):
                lost = self.losing_there if is_there else self.losing_back
                if lost is not None and lost in content:
                    if is_there:
                        self.losing_there = None
                    else:
                        self.losing_back = None
                    self.has_lost.set()
                    return
                writer.write(content)
                await writer.drain()
