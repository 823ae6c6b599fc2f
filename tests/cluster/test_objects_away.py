"""The store of a cluster's pictures while its server, or the way to it, is in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.cluster.objects import NotThere, Objects, StoreAway
from service.storage import BadPlace, StoragePlace
from tests.cluster.buckets import LARGE, SERVERS, place_at
from tests.cluster.troubled_proxy import Trouble, TroubledProxy
from tests.object_servers import BUCKET, MotoServer, ObjectServer, object_server
from tests.servers import DEADLINE_S, free_port, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@asynccontextmanager
async def running_at(port: int, kind: str, root: Path, moto: ObjectServer | MotoServer) -> AsyncIterator[StoragePlace]:
    """A server that is killed at the end of the block; moto's would forget its bucket, so only the way to it ends."""
    chosen: dict[str, Any] = {"prefix": "cluster/", "timeout_s": 3 * DEADLINE_S}
    if kind == "moto":
        async with TroubledProxy(moto.port, at=port) as proxy:
            yield place_at(moto, endpoint=proxy.url, **chosen)
        return
    rclone = object_server(root, port=port)
    try:
        yield place_at(await asyncio.to_thread(rclone.__enter__), **chosen)
    finally:
        await asyncio.to_thread(rclone.__exit__, None, None, None)


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_is_gone_and_comes_back_is_waited_for(
    kind: str, servers: dict[str, ObjectServer | MotoServer], tmp_path: Path
) -> None:
    port, root = free_port(), tmp_path / "objects"
    async with running_at(port, kind, root, servers["moto"]) as place:
        objects = Objects(place)
        await objects.put("a/1", b"one", "x/y")
    waiting = [
        asyncio.create_task(objects.put("a/2", b"two", "x/y")),
        asyncio.create_task(asyncio.to_thread(objects.put_blocking, "a/3", b"three", "x/y")),
        asyncio.create_task(objects.fetch("a/1", tmp_path / "1")),
    ]
    done, _ = await asyncio.wait(waiting, timeout=0.5)
    assert not done
    async with running_at(port, kind, root, servers["moto"]):
        await asyncio.gather(*waiting)
        assert [await objects.read(f"a/{n}") for n in (1, 2, 3)] == [b"one", b"two", b"three"]
    assert (tmp_path / "1").read_bytes() == b"one"


async def test_a_server_that_does_not_come_back_is_told_of_in_time(tmp_path: Path) -> None:
    port, time_s = free_port(), 2.0
    place = StoragePlace(bucket=BUCKET, endpoint=f"http://127.0.0.1:{port}", access_key="a", secret_key="b")
    objects = Objects(replace(place, timeout_s=time_s))
    began = time.monotonic()
    works: list[Callable[[], Any]] = [
        objects.check,
        lambda: objects.put("a", b"x", "x/y"),
        lambda: objects.fetch("a", tmp_path / "a"),
        lambda: objects.list("a"),
        lambda: asyncio.to_thread(objects.put_blocking, "a", b"x", "x/y"),
    ]
    results = await asyncio.gather(*[work() for work in works], return_exceptions=True)
    assert time.monotonic() - began < time_s + DEADLINE_S / 4
    assert isinstance(results[0], BadPlace)
    assert str(results[0]).startswith("objects_endpoint: s3://sd-images/ cannot be used: ")
    for result in results[1:]:
        assert isinstance(result, StoreAway)
        assert not result.is_refusal
        assert "\n" not in result.reason
    assert "HTTP error" in str([result.reason for result in results if isinstance(result, StoreAway)])
    assert list(tmp_path.iterdir()) == []


class LateServer:
    """What speaks S3, and shows an object late: at each look `shown` bytes of it, None for no object."""

    def __init__(self, *shown: int | None) -> None:
        self._shown = list(shown)
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        self.asked.append(head.split()[0])
        size: int | None = 0
        if self.asked[-1] == "put":
            await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        else:
            size = self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]
        status = "404 X" if size is None else "200 OK"
        fields = f'Content-Length: {size or 0}\r\nLast-Modified: Sat, 21 Nov 2026 20:00:00 GMT\r\nETag: "1"'
        writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.mark.parametrize("shown", [(None, 0, 3, 7), (3,)], ids=["late", "never"])
async def test_an_object_is_stored_when_it_can_be_had(shown: tuple[int | None, ...]) -> None:
    late = LateServer(*shown)
    server = await asyncio.start_server(late.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    objects = Objects(StoragePlace(bucket=BUCKET, endpoint=url, access_key="a", secret_key="b", timeout_s=1))
    try:
        if 7 in shown:
            await objects.put("a", b"picture", "x/y")
            assert late.asked == ["put", *["head"] * len(shown)]
        else:
            with pytest.raises(StoreAway) as caught:
                await objects.put("a", b"picture", "x/y")
            assert caught.value.reason.endswith("shows 3 of 7 bytes")
    finally:
        server.close()


# ---- slow and broken lines -----------------------------------------------------------------------------------


async def test_late_answers_are_waited_for(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    async with TroubledProxy(server.port, Trouble.LATE, pause_s=0.1) as proxy:
        objects = Objects(place_at(server, endpoint=proxy.url))
        await objects.check()
        await objects.put("a", LARGE[:300_000], "x/y")
        await objects.fetch("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == LARGE[:300_000]


async def test_a_connection_that_hangs_is_given_up_for_another(server: ObjectServer | MotoServer) -> None:
    place = place_at(server)
    await Objects(place).put("a", b"x", "x/y")
    async with TroubledProxy(server.port, Trouble.HANGS, times=2) as proxy:
        impatient = replace(place, endpoint=proxy.url, timeout_s=DEADLINE_S / 2)
        _, content = await asyncio.gather(Objects(impatient).put("b", b"y", "x/y"), Objects(impatient).read("a"))
        assert content == b"x"
        assert proxy.connections >= 4
    assert await Objects(place).read("b") == b"y"


async def test_a_server_that_never_answers_is_given_up_in_time(
    server: ObjectServer | MotoServer, tmp_path: Path
) -> None:
    async with TroubledProxy(server.port, Trouble.HANGS) as proxy:
        objects = Objects(place_at(server, endpoint=proxy.url, timeout_s=0.6))
        began = time.monotonic()
        results = await asyncio.gather(
            objects.put("a", b"x", "x/y"),
            asyncio.to_thread(objects.put_blocking, "a", b"x", "x/y"),
            objects.fetch("a", tmp_path / "a"),
            objects.list(),
            objects.delete(["a"]),
            return_exceptions=True,
        )
        assert 0.3 < time.monotonic() - began < 0.6 + DEADLINE_S / 4
        for result in results:
            assert isinstance(result, StoreAway)
            assert not result.is_refusal
    assert list(tmp_path.iterdir()) == []


async def test_a_fetch_that_is_cut_is_begun_again(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    place = place_at(server)
    await Objects(place).put("a", LARGE, "x/y")
    async with TroubledProxy(server.port, Trouble.ANSWER_CUT, times=2, after_bytes=len(LARGE) // 2) as proxy:
        await Objects(replace(place, endpoint=proxy.url)).fetch("a", tmp_path / "a")
        assert proxy.connections > 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": LARGE}


async def test_a_fetch_that_is_cut_for_good_leaves_no_file(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    place = place_at(server)
    await Objects(place).put("a", LARGE, "x/y")
    # Each time some of it comes, and what came is not asked for again: it would take longer than there is.
    async with TroubledProxy(server.port, Trouble.ANSWER_CUT, after_bytes=2000) as proxy:
        with pytest.raises(StoreAway):
            await Objects(replace(place, endpoint=proxy.url, timeout_s=1)).fetch("a", tmp_path / "a")
        assert proxy.connections > 1
    assert list(tmp_path.iterdir()) == []


async def test_a_fetch_that_is_called_off_leaves_no_file(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    place = place_at(server)
    await Objects(place).put("a", LARGE, "x/y")
    async with TroubledProxy(server.port, Trouble.LATE, pause_s=0.01) as proxy:
        fetching = asyncio.create_task(Objects(replace(place, endpoint=proxy.url)).fetch("a", tmp_path / "here" / "a"))
        while not any(path.stat().st_size for path in (tmp_path / "here").glob("*")):
            await asyncio.sleep(0)
        assert not (tmp_path / "here" / "a").exists()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert list((tmp_path / "here").iterdir()) == []


async def test_a_put_that_breaks_off_gives_nobody_a_file(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    """Listings and the disk of rclone have what came of it for a moment; it cannot be had."""
    place = place_at(server)
    async with TroubledProxy(server.port, Trouble.QUESTION_CUT, after_bytes=len(LARGE) // 2) as proxy:
        with pytest.raises(StoreAway):
            await Objects(replace(place, endpoint=proxy.url, timeout_s=1)).put("a", LARGE, "x/y")
        assert proxy.connections > 1
    with pytest.raises((NotThere, StoreAway)):
        await Objects(replace(place, timeout_s=1)).fetch("a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    if isinstance(server, ObjectServer):
        disk = server.folder / place.prefix
        await asyncio.to_thread(until, lambda: not any(path.is_file() for path in disk.rglob("*")), "it to be dropped")
    else:
        assert await Objects(place).list() == []
