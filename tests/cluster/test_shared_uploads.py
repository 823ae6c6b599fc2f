"""Uploads of one gateway that another can use."""

import io
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import new_id
from protocol.requests import parse_job_request
from service.auth import LOCAL
from service.clock import timestamp
from service.cluster.objects import Objects, StoreAway
from service.cluster.shared_files import SharedFiles
from service.cluster.shared_uploads import SharedUploads
from service.inputs import Inputs
from service.settings import Settings
from service.storage import StoragePlace
from tests.cluster.buckets import place_at
from tests.object_servers import BUCKET, MotoServer, ObjectServer
from tests.servers import DEADLINE_S, free_port

pytestmark = pytest.mark.anyio

TTL_S = 3600.0
_PNG = io.BytesIO()
Image.new("RGB", (20, 10), "red").save(_PNG, "PNG")
PNG = _PNG.getvalue()


class Gateway:
    """What a gateway has of uploads; it has no jobs, and fetches nothing."""

    def __init__(self, folder: Path, place: StoragePlace) -> None:
        self.folder = folder
        self.objects = Objects(place)
        self.files = SharedFiles(folder, self.objects, cache_bytes=1 << 30)
        self.uploads = SharedUploads(self.files, self.objects, ttl_s=TTL_S)
        settings = Settings(data_dir=folder)
        nobody: Any = None
        self.inputs = Inputs(settings, self.files, nobody, self.uploads, nobody)

    async def receive(self, **changed: Any) -> dict[str, Any]:
        """An upload, as its route makes it; returns its row."""
        upload_id = new_id()
        path = self.files.upload(upload_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
        row = {"id": upload_id, "key_id": LOCAL.id, "name": None, "media_type": "image/png", "width": 20, "height": 10}
        row |= {"size_bytes": len(PNG), "expires_at": timestamp(plus_s=TTL_S), **changed}
        await self.uploads.add(row)
        return row

    async def find(self, row: dict[str, Any], key_id: str | None = LOCAL.id, *, after_s: float = 0) -> Any:
        return await self.uploads.find(row["id"], key_id, timestamp(plus_s=after_s))

    @property
    def names(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def place(tmp_path: Path) -> StoragePlace:
    return StoragePlace(folder=tmp_path / "shared", timeout_s=DEADLINE_S)


@pytest.fixture
def one(tmp_path: Path, place: StoragePlace) -> Gateway:
    return Gateway(tmp_path / "one", place)


@pytest.fixture
def other(tmp_path: Path, place: StoragePlace) -> Gateway:
    return Gateway(tmp_path / "other", place)


async def test_an_upload_of_one_gateway_is_an_input_at_another(
    server: ObjectServer | MotoServer, tmp_path: Path
) -> None:
    place = place_at(server)
    one, other = Gateway(tmp_path / "one", place), Gateway(tmp_path / "other", place)
    row = await one.receive()
    assert await other.find(row) == row
    job_id = new_id()
    request = parse_job_request({"task": "upscale", "params": {"image": f"upload:{row['id']}"}})
    prepared = await other.inputs.prepare(job_id, request, LOCAL)
    assert prepared.names == {"image": "image.png"}
    name = f"jobs/{job_id[-2:]}/{job_id}/inputs/image.png"
    assert await other.objects.read(name) == PNG, "workers have it before they are told of the job"
    shard = row["id"][-2:]
    assert sorted(found.name for found in await one.objects.list()) == [
        name,
        f"uploads/{shard}/{row['id']}",
        f"uploads/{shard}/{row['id']}.json",
    ]


async def test_an_upload_is_found_by_its_key_alone_and_for_as_long_as_it_is_kept(one: Gateway, other: Gateway) -> None:
    row = await one.receive()
    assert {Path(name).name for name in one.names} == {row["id"], f"{row['id']}.json"}, "it need not ask for its own"
    for gateway in (one, other):
        assert await gateway.find(row, "somebody else") is None
        assert await gateway.find(row, None) == row
        assert await gateway.find(row, after_s=TTL_S - 10) == row
        assert await gateway.find(row, after_s=TTL_S + 10) is None
        assert await gateway.find({"id": new_id()}) is None


async def test_an_upload_that_is_gone_is_a_mistake_of_the_request(one: Gateway) -> None:
    request = parse_job_request({"task": "upscale", "params": {"image": f"upload:{new_id()}"}})
    with pytest.raises(ProtocolError, match="there is no upload") as refused:
        await one.inputs.prepare(new_id(), request, LOCAL)
    assert refused.value.code is ErrorCode.INVALID_PARAMS


async def test_expired_uploads_are_removed_with_their_files_and_others_stay(
    one: Gateway, other: Gateway, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    expired = await one.receive(expires_at=timestamp(plus_s=-1))
    longer = await one.receive()  # of a gateway with another `upload_ttl_s`
    nameless = shared / "uploads" / "00" / new_id()
    nameless.parent.mkdir(exist_ok=True)
    nameless.write_bytes(b"its gateway ended before there was a row")
    for path in shared.rglob("*"):
        os.utime(path, (0, time.time() - TTL_S - 1))
    young = await one.receive()
    assert await other.find(expired) is None
    await other.uploads.remove_expired(timestamp())
    left = {path.name.removesuffix(".json") for path in shared.rglob("*") if path.is_file()}
    assert left == {longer["id"], young["id"]}
    assert len(await other.objects.list("uploads")) == 4
    assert other.names == []


async def test_young_uploads_are_not_even_looked_at(one: Gateway) -> None:
    row = await one.receive(expires_at=timestamp(plus_s=-1))
    await one.uploads.remove_expired(timestamp())
    assert len(await one.objects.list("uploads")) == 2
    assert await one.find(row) is None


async def test_an_upload_that_cannot_be_shared_does_not_count(tmp_path: Path) -> None:
    place = StoragePlace(bucket=BUCKET, endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="b")
    gateway = Gateway(tmp_path / "away", replace(place, timeout_s=0.4))
    with pytest.raises(StoreAway):
        await gateway.receive()
    assert gateway.names == []
    request = parse_job_request({"task": "upscale", "params": {"image": f"upload:{new_id()}"}})
    with pytest.raises(StoreAway):
        await gateway.inputs.prepare(new_id(), request, LOCAL)
    assert gateway.names == []
