"""The store of a cluster's pictures: a folder, and two servers of different make that speak S3."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.errors import ErrorCode
from service.cluster.objects import NotThere, Objects, StoreAway
from service.object_store import ObjectStore
from service.settings import Settings
from service.storage import BadPlace, StoragePlace
from tests.cluster.buckets import LARGE, SERVERS, place_at
from tests.object_servers import BUCKET, MotoServer, ObjectServer, moto_server, object_server
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


@pytest.fixture(params=("folder", *SERVERS))
def place(
    request: pytest.FixtureRequest, servers: dict[str, ObjectServer | MotoServer], tmp_path: Path
) -> StoragePlace:
    """Somewhere that is empty."""
    if request.param == "folder":
        return StoragePlace(folder=tmp_path / "shared", timeout_s=DEADLINE_S)
    return place_at(servers[request.param])


@pytest.fixture
def objects(place: StoragePlace) -> Objects:
    return Objects(place)


def names(found: Sequence[Any]) -> list[str]:
    return sorted(one.name for one in found)


# ---- a folder and both servers -------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"picture", b"", LARGE], ids=len)
async def test_what_is_stored_is_had_again_as_it_was(objects: Objects, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.png").write_bytes(content)
    await objects.put("jobs/3f/a/0.png", tmp_path / "0.png", "image/png")
    await objects.put("jobs/3f/a/1.png", content, "image/png")
    for index in (0, 1):
        assert await objects.read(f"jobs/3f/a/{index}.png") == content
        await objects.fetch(f"jobs/3f/a/{index}.png", tmp_path / "new" / "folder" / f"{index}.png")
        assert await objects.size(f"jobs/3f/a/{index}.png") == len(content)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == {
        "0.png": content,
        "1.png": content,
    }


async def test_what_is_stored_again_is_in_the_place_of_the_first(objects: Objects) -> None:
    await objects.put("a/b", b"first", "text/plain")
    await objects.put("a/b", b"second", "text/plain")
    assert await objects.read("a/b") == b"second"
    assert names(await objects.list()) == ["a/b"]


async def test_what_is_not_there_is_told_of_as_that_and_leaves_no_file(objects: Objects, tmp_path: Path) -> None:
    await objects.put("a/b", b"x", "text/plain")
    with pytest.raises(NotThere):
        await objects.fetch("a/c", tmp_path / "here" / "c")
    with pytest.raises(NotThere):
        await objects.read("a")
    assert not await objects.exists("a/c")
    assert await objects.exists("a/b")
    assert not any(path.is_file() for path in (tmp_path / "here").rglob("*"))


async def test_a_listing_has_the_objects_below_a_folder_and_no_others(objects: Objects) -> None:
    for name in ("jobs/3f/1/a", "jobs/3f/2/b", "jobs/3fa/3/c", "uploads/4"):
        await objects.put(name, name.encode(), "text/plain")
    found = await objects.list("jobs/3f")
    assert names(found) == ["jobs/3f/1/a", "jobs/3f/2/b"]
    assert {one.size_bytes for one in found} == {len("jobs/3f/1/a")}
    assert all(abs(one.changed_at.timestamp() - time.time()) < 100 for one in found)
    assert len(await objects.list()) == 4
    assert await objects.list("nothing") == []


async def test_objects_are_removed_with_those_that_are_not_there_and_no_others(objects: Objects) -> None:
    there = [f"a/{number}" for number in range(30)]
    for name in [*there, "a/b"]:
        await objects.put(name, b"x", "text/plain")
    await objects.delete(["a/no", *there, "a/neither"])
    await objects.delete([])
    assert names(await objects.list("a")) == ["a/b"]


async def test_all_below_a_folder_is_removed_and_nothing_beside_it(objects: Objects, place: StoragePlace) -> None:
    for name in ("jobs/3f/1/inputs/a", "jobs/3f/1/outputs/b", "jobs/3f/11/a", "jobs/3f/2/a"):
        await objects.put(name, b"x", "text/plain")
    await objects.delete_prefix("jobs/3f/1")
    await objects.delete_prefix("jobs/3f/nothing")
    assert names(await objects.list()) == ["jobs/3f/11/a", "jobs/3f/2/a"]
    assert place.folder is None or not (place.folder / "jobs" / "3f" / "1").exists()


async def test_the_check_at_the_start_leaves_nothing_behind(objects: Objects) -> None:
    await objects.check()
    assert await objects.list() == []


async def test_a_thread_without_an_event_loop_stores_as_well(objects: Objects) -> None:
    await asyncio.gather(*[asyncio.to_thread(objects.put_blocking, f"a/{n}", b"%d" % n, "x/y") for n in range(4)])
    assert [await objects.read(f"a/{n}") for n in range(4)] == [b"0", b"1", b"2", b"3"]


async def test_a_folder_that_cannot_be_is_told_of_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadPlace, match=r"^objects_url: file://.*/file"):
        await Objects(StoragePlace(folder=tmp_path / "file", timeout_s=1)).check()


def test_the_place_is_what_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        objects_url="s3://pictures/of/us/",
        objects_endpoint="http://h:9/",
        objects_region="eu-1",
        objects_access_key="a",
        objects_secret_key="s",
        objects_timeout_s=7,
    )
    assert StoragePlace.of_cluster(settings) == StoragePlace(
        bucket="pictures",
        prefix="of/us/",
        endpoint="http://h:9",
        region="eu-1",
        access_key="a",
        secret_key="s",
        timeout_s=7,
    )
    assert StoragePlace.of_cluster(Settings(objects_url="file:///a%20b")) == StoragePlace(
        folder=Path("/a b"), timeout_s=30
    )
    assert StoragePlace.of_cluster(Settings()) is None
    with pytest.raises(BadPlace, match=r"^objects_url: expected s3"):
        StoragePlace.of_cluster(Settings(objects_url="http://bucket"))
    with pytest.raises(BadPlace, match=r"^objects_url: expected a bucket"):
        StoragePlace.of_cluster(Settings(objects_url="s3://A"))


# ---- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong-secret"}, {"access_key": "nobody"}], ids=str)
async def test_wrong_credentials_are_named_at_the_start_and_later(
    server: ObjectServer | MotoServer, tmp_path: Path, wrong: dict[str, str]
) -> None:
    objects = Objects(place_at(server, **wrong))
    began = time.monotonic()
    with pytest.raises(BadPlace, match=r"^objects_access_key, objects_secret_key: s3://sd-images/.*refused"):
        await objects.check()
    works: list[Callable[[], Any]] = [
        lambda: objects.put("a", b"x", "x/y"),
        lambda: objects.fetch("a", tmp_path / "a"),
        objects.list,
        lambda: objects.size("a"),
        lambda: objects.delete(["a"]),
    ]
    for work in works:
        with pytest.raises(StoreAway) as caught:
            await work()
        assert caught.value.reason.startswith("the credentials are refused: ")
        assert "\n" not in caught.value.reason
        assert "wrong-secret" not in caught.value.reason
        assert caught.value.code is ErrorCode.NOT_READY
        assert str(server.port) not in caught.value.problem().model_dump_json()
    assert time.monotonic() - began < DEADLINE_S, "a refusal is not tried again"
    assert list(tmp_path.iterdir()) == []


async def test_a_bucket_that_is_missing_is_named_and_is_no_missing_object(
    server: ObjectServer | MotoServer, tmp_path: Path
) -> None:
    objects = Objects(replace(place_at(server), bucket="no-such-bucket"))
    with pytest.raises(BadPlace, match=r"^objects_url: s3://no-such-bucket/.*NoSuchBucket"):
        await objects.check()
    for work in (objects.put("a", b"x", "x/y"), objects.fetch("a", tmp_path / "a"), objects.read("a")):
        with pytest.raises(StoreAway, match="pictures cannot be") as caught:
            await work
        assert caught.value.reason.startswith("there is no such bucket")


# ---- the addresses of copies, on the second make -------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
async def test_signed_addresses_open_a_closed_bucket(kind: str, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    with object_server(tmp_path / "objects") if kind == "rclone" else moto_server(checks_keys=False) as server:
        place = place_at(server, signed_url_s=3600, public_url="http://unused")
        url = await ObjectStore(place).put("a-0.png", tmp_path / "0.png", "image/png")
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
            unsigned = await client.get(url.partition("?")[0])
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"picture", "image/png")
    assert not unsigned.is_success


@pytest.mark.parametrize("kind", SERVERS)
async def test_public_addresses_give_what_is_in_an_open_bucket(kind: str, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"picture")
    rclone = object_server(tmp_path / "objects", is_open=True)
    with rclone if kind == "rclone" else moto_server(checks_keys=False, is_public=True) as server:
        place = replace(place_at(server), public_url=f"{server.url}/{BUCKET}")
        url = await ObjectStore(place).put("a-0.png", tmp_path / "0.png", "image/png")
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
    assert url == f"{server.url}/{BUCKET}/{place.prefix}a-0.png"
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"picture", "image/png")
