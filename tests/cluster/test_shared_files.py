"""Machines of a cluster that share their files: what one has written the others have, and keep for a while."""

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from protocol.ids import new_id
from service.cluster import shared_files
from service.cluster.objects import Objects, StoreAway
from service.cluster.shared_files import SharedFiles
from service.storage import StoragePlace
from tests.cluster.buckets import place_at
from tests.object_servers import BUCKET, MotoServer, ObjectServer
from tests.servers import DEADLINE_S, free_port

pytestmark = pytest.mark.anyio

ROOM = 1 << 30
HOUR_S, DAY_S = 3600.0, 86_400.0


class Counted(Objects):
    """Counts what is fetched; a fetch goes on when it may."""

    def __init__(self, place: StoragePlace) -> None:
        super().__init__(place)
        self.fetched: list[str] = []
        self.may_go_on = anyio.Event()
        self.may_go_on.set()

    async def fetch(self, name: str, target: Path) -> None:
        self.fetched.append(name)
        await self.may_go_on.wait()
        await super().fetch(name, target)


@pytest.fixture
def place(tmp_path: Path) -> StoragePlace:
    return StoragePlace(folder=tmp_path / "shared", timeout_s=DEADLINE_S)


@pytest.fixture
def objects(place: StoragePlace) -> Counted:
    return Counted(place)


@pytest.fixture
def here(tmp_path: Path, objects: Counted) -> SharedFiles:
    return SharedFiles(tmp_path / "here", objects, cache_bytes=ROOM)


@pytest.fixture
def there(tmp_path: Path, objects: Counted) -> SharedFiles:
    return SharedFiles(tmp_path / "there", objects, cache_bytes=ROOM)


def away(tmp_path: Path) -> SharedFiles:
    """With a store that nobody answers for."""
    place = StoragePlace(bucket=BUCKET, endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="b")
    return SharedFiles(tmp_path / "away", Objects(replace(place, timeout_s=0.5)), cache_bytes=ROOM)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def written(files: SharedFiles, job_id: str, content: bytes, index: int = 0) -> Path:
    """An output, as the engine's threads write it."""
    stored = await asyncio.to_thread(files.write, job_id, index, "image/png", content)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    return files.output(job_id, index, "image/png", stored.sha256)


def last_used(path: Path, ago_s: float) -> None:
    os.utime(path, (time.time() - ago_s, time.time() - 2 * DAY_S if ago_s > DAY_S else time.time() - ago_s))


# ---- between machines ----------------------------------------------------------------------------------------


async def test_an_output_of_one_machine_is_had_on_another(server: ObjectServer | MotoServer, tmp_path: Path) -> None:
    objects = Objects(place_at(server))
    worker = SharedFiles(tmp_path / "worker", objects, cache_bytes=ROOM)
    gateway = SharedFiles(tmp_path / "gateway", objects, cache_bytes=ROOM)
    job_id = new_id()
    made = await written(worker, job_id, b"picture")
    sha256 = hashlib.sha256(b"picture").hexdigest()
    path = gateway.output(job_id, 0, "image/png", sha256)
    assert not path.exists()
    assert await gateway.bring(path) == path
    assert path.read_bytes() == made.read_bytes() == b"picture"
    assert [found.name for found in await objects.list()] == [
        f"jobs/{job_id[-2:]}/{job_id}/outputs/0-{sha256[:16]}.png"
    ]


async def test_inputs_are_shared_with_what_they_are(here: SharedFiles, there: SharedFiles) -> None:
    job_id = new_id()
    paths = [here.inputs(job_id) / name for name in ("image.png", "mask.webp")]
    for path in paths:
        path.write_bytes(path.name.encode())
    await here.share(paths)
    for path in paths:
        assert (await there.bring(there.inputs(job_id) / path.name)).read_bytes() == path.name.encode()


async def test_a_file_that_is_here_is_not_asked_for(here: SharedFiles, objects: Counted) -> None:
    path = await written(here, new_id(), b"picture")
    modified = path.stat().st_mtime
    os.utime(path, (1, modified))
    await here.bring(path)
    assert objects.fetched == []
    assert path.stat().st_mtime == modified, "clients are told this time"
    assert time.time() - path.stat().st_atime < 100


async def test_a_file_that_is_nowhere_is_just_not_there(here: SharedFiles) -> None:
    path = here.output(new_id(), 0, "image/png", "0" * 64)
    assert await here.bring(path) == path
    assert not path.exists()


async def test_those_who_want_the_same_file_share_one_fetch(
    here: SharedFiles, there: SharedFiles, objects: Counted
) -> None:
    job_id = new_id()
    path = there.output(job_id, 0, "image/png", (await written(here, job_id, b"picture")).stem.partition("-")[2])
    objects.may_go_on = anyio.Event()
    wanting = [asyncio.create_task(there.bring(path)) for _ in range(5)]
    while not objects.fetched:
        await asyncio.sleep(0)
    wanting[0].cancel()
    await asyncio.wait([wanting[0]])
    objects.may_go_on.set()
    assert await asyncio.gather(*wanting[1:]) == [path] * 4
    assert len(objects.fetched) == 1
    assert path.read_bytes() == b"picture"


async def test_a_store_that_is_away_is_told_to_all_and_tried_anew(tmp_path: Path) -> None:
    files = away(tmp_path)
    path = files.output(new_id(), 0, "image/png", "0" * 64)
    for _ in range(2):
        results = await asyncio.gather(*[files.bring(path) for _ in range(3)], return_exceptions=True)
        assert [type(result) for result in results] == [StoreAway] * 3
    paths = [files.inputs(new_id()) / f"{name}.png" for name in "ab"]
    for input_path in paths:
        input_path.write_bytes(b"x")
    with pytest.raises(StoreAway):
        await files.share(paths)


async def test_an_output_that_cannot_be_stored_is_no_output(tmp_path: Path) -> None:
    files = away(tmp_path)
    with pytest.raises(OSError, match="object store does not take the output") as caught:
        await written(files, new_id(), b"picture")
    assert "127.0.0.1" not in str(caught.value)
    assert files_in(tmp_path / "away") == []


async def test_what_a_lost_worker_stores_late_is_not_in_the_place_of_what_counts(
    here: SharedFiles, there: SharedFiles, objects: Counted
) -> None:
    job_id = new_id()
    counts = await written(here, job_id, b"of the worker that went on")
    await written(there, job_id, b"of the worker that was lost")
    (here.inputs(job_id) / "image.png").write_bytes(b"other")
    counts.unlink()
    assert (await here.bring(counts)).read_bytes() == b"of the worker that went on"
    await here.remove_shared_job(job_id)
    assert await objects.list() == []


async def test_a_job_is_removed_here_and_in_the_store_and_no_other(
    here: SharedFiles, there: SharedFiles, objects: Counted, tmp_path: Path
) -> None:
    gone, stays = new_id(), new_id()
    path = await written(here, gone, b"gone")
    kept = await written(here, stays, b"kept")
    await here.remove_shared_job(gone)
    assert files_in(tmp_path / "here") == [here.name_of(kept)] == [found.name for found in await objects.list()]
    brought = await there.bring(there.output(gone, 0, "image/png", path.stem.partition("-")[2]))
    assert not brought.exists()


async def test_what_is_of_no_job_leaves_the_store_after_a_day(
    here: SharedFiles, objects: Counted, tmp_path: Path
) -> None:
    known, unknown, young = new_id(), new_id(), new_id()
    for job_id in (known, unknown, young):
        path = await written(here, job_id, b"x")
        if job_id != young:
            last_used(tmp_path / "shared" / here.name_of(path), 2 * DAY_S)
    asked = []

    async def knows(job_id: str) -> bool:
        asked.append(job_id)
        return job_id == known

    await here.remove_shared_orphans(knows)
    assert {name.split("/")[2] for name in files_in(tmp_path / "shared")} == {known, young}
    assert sorted(asked) == sorted([known, unknown])


# ---- what stays here -----------------------------------------------------------------------------------------


async def outputs(files: SharedFiles, *ages_s: float) -> Sequence[Path]:
    """Outputs of one job each, 1000 bytes long, that were last used so long ago."""
    paths = []
    for age_s in ages_s:
        path = await written(files, new_id(), os.urandom(1000))
        last_used(path, age_s)
        paths.append(path)
    return paths


async def test_what_was_not_used_for_longest_goes_first_and_can_be_had_again(tmp_path: Path, objects: Counted) -> None:
    files = SharedFiles(tmp_path / "here", objects, cache_bytes=2500)
    middle, oldest, newest, old = await outputs(files, 2 * HOUR_S, 4 * HOUR_S, HOUR_S, 3 * HOUR_S)
    await files.sweep()
    assert [path.exists() for path in (oldest, old, middle, newest)] == [False, False, True, True]
    assert not oldest.parents[1].exists()
    assert (await files.bring(oldest)).stat().st_size == 1000
    await files.sweep()
    assert [path.exists() for path in (oldest, old, middle, newest)] == [True, False, False, True]


async def test_what_is_not_in_the_store_or_in_use_stays_whatever_the_limit(tmp_path: Path, objects: Counted) -> None:
    files = SharedFiles(tmp_path / "here", objects, cache_bytes=0)
    missing, other, in_work, fresh, gone = await outputs(files, HOUR_S, HOUR_S, HOUR_S, 1, HOUR_S)
    (tmp_path / "shared" / files.name_of(missing)).unlink()
    (tmp_path / "shared" / files.name_of(other)).write_bytes(b"half")
    part = files.inputs(new_id()) / "image.part"
    part.write_bytes(b"on its way")
    last_used(part, 2 * DAY_S)
    files.in_work = lambda: [in_work.parents[1].name]
    await files.sweep()
    assert [path.exists() for path in (missing, other, in_work, fresh, part, gone)] == [True] * 5 + [False]


async def test_what_nobody_used_for_a_day_goes_though_there_is_room(here: SharedFiles, tmp_path: Path) -> None:
    """Among it what has been removed from the store."""
    removed, unused, used = await outputs(here, 2 * DAY_S, 2 * DAY_S, HOUR_S)
    (tmp_path / "shared" / here.name_of(removed)).unlink()
    await here.sweep()
    assert [path.exists() for path in (removed, unused, used)] == [False, False, True]


async def test_copies_are_looked_at_again_and_again_whatever_the_store_says(
    tmp_path: Path, objects: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = SharedFiles(tmp_path / "here", objects, cache_bytes=0)
    monkeypatch.setattr(shared_files, "_SWEEP_S", 0.0)
    size, was_away = objects.size, asyncio.Event()

    async def away_once(name: str) -> int | None:
        if was_away.is_set():
            return await size(name)
        was_away.set()
        raise StoreAway("gone")

    monkeypatch.setattr(objects, "size", away_once)
    (path,) = await outputs(files, HOUR_S)
    running = asyncio.create_task(files.run())
    async with asyncio.timeout(DEADLINE_S):
        while path.exists():
            await asyncio.sleep(0)
    assert was_away.is_set()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_a_store_that_is_away_costs_no_copy(tmp_path: Path) -> None:
    files = away(tmp_path)
    files = SharedFiles(tmp_path / "away", files._objects, cache_bytes=0)
    path = files.inputs(new_id()) / "image.png"
    path.write_bytes(b"x")
    last_used(path, HOUR_S)
    with pytest.raises(StoreAway):
        await files.sweep()
    assert path.exists()
