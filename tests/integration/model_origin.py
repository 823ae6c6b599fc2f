"""A server of one model file, which cuts connections and knows ranges."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Origin:
    """A server of one file.

    Attributes:
        cuts: after so many bytes of the body, one number per request; then no more.
        etag: what it calls this version; None: it does not say.
        knows_ranges: whether it can send a part.
        tells_length: whether it says how long the file is.
        requests: the headers of each request, in lower case.
    """

    def __init__(self, body: bytes, *, etag: str | None = '"one"', knows_ranges: bool = True) -> None:
        self.body = body
        self.etag = etag
        self.knows_ranges = knows_ranges
        self.tells_length = True
        self.cuts: list[int] = []
        self.status: int | None = None
        self.requests: list[dict[str, str]] = []
        self.gate: asyncio.Event | None = None
        self._asked = asyncio.Condition()
        self.port = 0

    def url(self, name: str = "ink.safetensors") -> str:
        return f"http://models.test:{self.port}/files/{name}"

    @property
    def ranges(self) -> list[str | None]:
        return [request.get("range") for request in self.requests]

    async def asked(self, times: int) -> None:
        """Wait until so many requests have come."""
        async with self._asked:
            await self._asked.wait_for(lambda: len(self.requests) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            async with self._asked:
                self.requests.append(headers)
                self._asked.notify_all()
            cut = self.cuts.pop(0) if self.cuts else None
            head, body = self._answer(headers)
            writer.write(head)
            writer.write(body[:cut])
            await writer.drain()
            if self.gate is not None:
                await self.gate.wait()
            if cut is not None:
                writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, headers: dict[str, str]) -> tuple[bytes, bytes]:
        total = len(self.body)
        if self.status is not None:
            return f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode(), b""
        start = 0
        is_same = headers.get("if-range") in {None, self.etag}
        if self.knows_ranges and "range" in headers and is_same:
            start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
        if start >= total:
            head = f"HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"
            return head.encode(), b""
        lines = [f"HTTP/1.1 {206 if start else 200} OK"]
        lines += [f"Content-Length: {total - start}"] if self.tells_length else []
        lines += [f"Content-Range: bytes {start}-{total - 1}/{total}"] if start else []
        lines += [f"ETag: {self.etag}"] if self.etag else []
        return "\r\n".join([*lines, "", ""]).encode(), self.body[start:]


@asynccontextmanager
async def serving(origin: Origin) -> AsyncIterator[Origin]:
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
        await server.wait_closed()
