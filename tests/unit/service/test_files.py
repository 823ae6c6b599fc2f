import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import new_id
from service import files as files_module
from service.files import Files, link_or_copy, write_whole

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def everything(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_output_is_kept_under_its_job_and_number(files: Files, tmp_path: Path) -> None:
    job_id = new_id()
    stored = files.write(job_id, 3, "image/webp", b"content")
    assert stored.url == f"/v1/jobs/{job_id}/outputs/3"
    assert (stored.size_bytes, stored.sha256) == (7, hashlib.sha256(b"content").hexdigest())
    path = files.output(job_id, 3, "image/webp")
    assert path == tmp_path / "jobs" / job_id[-2:] / job_id / "outputs" / "3.webp"
    assert everything(tmp_path) == [path]
    assert path.read_bytes() == b"content"


def test_a_later_attempt_replaces_its_output_whole(files: Files, tmp_path: Path) -> None:
    job_id = new_id()
    files.write(job_id, 0, "image/png", b"first, and longer")
    files.write(job_id, 0, "image/png", b"second")
    assert [path.read_bytes() for path in everything(tmp_path)] == [b"second"]


def test_a_store_that_is_to_survive_a_power_loss_waits_for_the_file_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    Files(tmp_path / "quick").write(new_id(), 0, "image/png", b"content")
    assert synced == []
    Files(tmp_path / "safe", survives_power_loss=True).write(new_id(), 0, "image/png", b"content")
    assert synced == ["0.png", "outputs"]


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes | None
) -> None:
    path = tmp_path / "a.png"
    if before is not None:
        path.write_bytes(before)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert [found.read_bytes() for found in everything(tmp_path)] == ([] if before is None else [before])


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "", "0" * 36, "A" * 36, "upload"])
def test_nothing_but_an_id_reaches_the_file_system(files: Files, tmp_path: Path, wrong: str) -> None:
    for ask in (files.upload, files.inputs, files.remove_job, lambda name: files.output(name, 0, "image/png")):
        with pytest.raises(ValueError, match="not an id"):
            ask(wrong)
    assert everything(tmp_path) == []


async def test_an_upload_has_no_name_before_it_is_kept(files: Files) -> None:
    upload_id = new_id()
    part, size = await files.receive(upload_id, chunks(b"ab", b"", b"cde"), 5)
    assert size == 5
    assert not files.upload(upload_id).exists()
    assert list(files.upload_ids()) == []
    path = files.keep(part)
    assert path == files.upload(upload_id)
    assert path.read_bytes() == b"abcde"
    assert list(files.upload_ids()) == [upload_id]


async def test_an_upload_is_refused_as_soon_as_it_is_too_large_and_leaves_nothing(files: Files, tmp_path: Path) -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1000

    with pytest.raises(ProtocolError) as refusal:
        await files.receive(new_id(), endless(), 5000)
    assert refusal.value.code is ErrorCode.TOO_LARGE
    assert asked == 6
    assert everything(tmp_path) == []


async def test_an_upload_that_breaks_off_leaves_nothing(files: Files, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 << 20)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await files.receive(new_id(), broken(), 1 << 30)
    assert everything(tmp_path) == []


def test_a_link_shares_the_file_and_outlives_its_source(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x")
    link_or_copy(source, target)
    assert source.samefile(target)
    source.unlink()
    assert target.read_bytes() == b"x"


def test_where_links_are_not_possible_the_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x")
    link_or_copy(source, target)
    assert not source.samefile(target)
    assert target.read_bytes() == b"x"


def test_what_an_earlier_server_left_half_written_is_removed_and_nothing_else(files: Files, tmp_path: Path) -> None:
    old, kept = new_id(), new_id()
    files.write(kept, 0, "image/png", b"whole")
    for stale in (files.inputs(old) / "image.part", files.upload(old).with_name(old + ".part")):
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_bytes(b"ha")
    now = files.output(kept, 0, "image/png").stat().st_ctime
    files.remove_partial(now - 3600)
    assert len(everything(tmp_path)) == 3
    files.remove_partial(now + 3600)
    assert everything(tmp_path) == [files.output(kept, 0, "image/png")]


def test_an_old_upload_that_is_linked_into_a_new_job_just_now_is_not_taken_for_left_over(files: Files) -> None:
    upload, job_id = new_id(), new_id()
    source = files.upload(upload)
    source.parent.mkdir(parents=True)
    source.write_bytes(b"x")
    os.utime(source, (1e9, 1e9))
    part = files.inputs(job_id) / "image.part"
    link_or_copy(source, part)
    files.remove_partial(part.stat().st_ctime - 1)
    assert part.exists()


def test_folders_of_jobs_and_uploads_are_found_by_their_ids(files: Files, tmp_path: Path) -> None:
    jobs = {new_id() for _ in range(3)}
    for job_id in jobs:
        files.inputs(job_id)
    (tmp_path / "jobs" / "aa").mkdir(exist_ok=True)
    (tmp_path / "jobs" / "aa" / "lost+found").mkdir()
    assert set(files.job_ids()) == jobs
    gone = jobs.pop()
    files.remove_job(gone)
    files.remove_job(gone)
    assert set(files.job_ids()) == jobs


def test_every_media_type_has_a_suffix_of_its_own() -> None:
    assert len(set(files_module.SUFFIXES.values())) == len(files_module.SUFFIXES)


def test_files_of_one_server_are_all_here_and_asking_for_them_waits_for_nothing(files: Files, tmp_path: Path) -> None:
    with pytest.raises(StopIteration) as brought:
        files.bring(tmp_path / "a").send(None)
    assert brought.value.value == tmp_path / "a"
    with pytest.raises(StopIteration):
        files.share([tmp_path / "a"]).send(None)


def test_an_output_that_others_may_write_late_has_its_hash_in_its_name(tmp_path: Path) -> None:
    class Shared(Files):
        _names_contents = True

    files, job_id = Shared(tmp_path), new_id()
    first, second = (files.write(job_id, 0, "image/png", content) for content in (b"one", b"two"))
    paths = [files.output(job_id, 0, "image/png", stored.sha256) for stored in (first, second)]
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert first.url == second.url
