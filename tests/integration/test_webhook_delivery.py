"""Webhooks to a real receiver on this machine, from a real outbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from service.settings import Settings
from service.store import Batch, Store
from service.webhooks import SECRET_FILE, Webhooks

pytestmark = pytest.mark.anyio
DEADLINE_S = 20.0
EVENT = {"type": "job.succeeded", "job_id": "j1", "seq": 4, "at": "2026-01-01T00:00:00.000Z", "data": {}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Receiver:
    """Answers with the given statuses in turn, the last one for good, and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.got.put_nowait((headers, body))

    async def next(self) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(DEADLINE_S):
            return await self.got.get()


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[Receiver]:
    place = Receiver(*statuses)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?a=b"
    try:
        yield place
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def opened(folder: Path, *urls: str) -> AsyncIterator[Store]:
    store = Store(folder)
    await store.open()
    try:
        event = orjson.dumps(EVENT).decode()
        rows = [
            {"id": f"msg_{number}", "job_id": "j1", "url": url, "event": event, "next_at": 0.0}
            for number, url in enumerate(urls)
        ]
        await store.commit(Batch(webhooks=rows))
        yield store
    finally:
        await store.close()


async def results(settings: Settings, store: Store, count: int) -> list[str]:
    """Deliver until `count` attempts have been told of."""
    told: asyncio.Queue[str] = asyncio.Queue()
    webhooks = Webhooks(settings, store, pause=lambda _attempt: 0.0)
    webhooks.on_result = told.put_nowait
    running = asyncio.create_task(webhooks.run())
    try:
        async with asyncio.timeout(DEADLINE_S):
            return [await told.get() for _ in range(count)]
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_receiver_can_verify_what_it_gets_and_recognise_a_repeat(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, allow_private_urls=True)
    async with receiver(500, 200) as place, opened(tmp_path, place.url) as store:
        assert await results(settings, store, 2) == ["failed", "delivered"]
        first, second = await place.next(), await place.next()
        assert await store.next_webhook_at() is None
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == "msg_0"
    assert first[0]["content-type"] == "application/json"
    secret = (tmp_path / SECRET_FILE).read_text().strip()
    for headers, body in (first, second):
        told = Verifier(secret).verify(body, headers)
        assert told == {"type": "job.succeeded", "timestamp": EVENT["at"], "data": EVENT}


async def test_a_receiver_inside_the_operators_network_is_never_called(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, webhook_max_attempts=1)
    async with receiver(200) as place, opened(tmp_path, place.url, "http://localhost:22/") as store:
        assert await results(settings, store, 2) == ["given_up", "given_up"]
        assert place.got.empty()
