"""What goes over the wire to a bucket, and what is done about its answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.object_store import NotStored, ObjectStore
from service.storage import StoragePlace

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Answers:
    """What speaks HTTP like an S3: answers with these statuses in turn, the last one for good; keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.heads: list[Sequence[str]] = []
        self.bodies: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        (length,) = [int(line.split(":")[1]) for line in head if line.startswith("content-length:")]
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        writer.write(f'HTTP/1.1 {status} X\r\nETag: "1"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'.encode())
        await writer.drain()
        writer.close()


def bucket(endpoint: str) -> ObjectStore:
    keys = {"access_key": "user", "secret_key": "very secret"}
    place = StoragePlace(bucket="made", prefix="a/", endpoint=endpoint, public_url="http://h", timeout_s=10, **keys)
    return ObjectStore(place)


async def test_an_object_says_what_it_is_and_is_signed(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    answers = Answers(200)
    async with answers.running() as endpoint:
        assert await bucket(endpoint).put("x-0.png", tmp_path / "0.png", "image/png") == "http://h/a/x-0.png"
    ((first, *rest),) = answers.heads
    assert first == "put /made/a/x-0.png http/1.1"
    assert "content-type: image/png" in rest
    assert any(line.startswith("authorization: aws4-hmac-sha256 credential=user/") for line in rest)
    assert "very secret" not in str(answers.heads)
    assert answers.bodies == [b"picture"]


async def test_a_put_that_meets_a_server_error_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    answers = Answers(503, 500, 200)
    async with answers.running() as endpoint:
        await bucket(endpoint).put("x-0.png", tmp_path / "0.png", "image/png")
    assert answers.bodies == [b"picture"] * 3


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_put_that_is_refused_is_not_tried_again(tmp_path: Path, status: int) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    answers = Answers(status)
    async with answers.running() as endpoint:
        with pytest.raises(NotStored) as caught:
            await bucket(endpoint).put("x-0.png", tmp_path / "0.png", "image/png")
    assert "very secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(answers.bodies) == 1
