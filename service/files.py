"""Input and output images on disk. A file appears under its name whole or not at all.

    data_dir/jobs/3f/<job id>/inputs/image.png      checked, as they came
    data_dir/jobs/3f/<job id>/outputs/0.png
    data_dir/uploads/3f/<upload id>

The names are made here, from ids and table entries: nothing a client calls a file reaches the file system.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Final

import anyio
import anyio.to_thread

from engine.interface.engine import StoredOutput
from protocol.errors import ErrorCode, ProtocolError
from protocol.ids import is_id

SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/x-portable-pixmap": ".ppm",
    "image/x-icon": ".ico",
    "image/jp2": ".jp2",
    "image/x-tga": ".tga",
    "application/json": ".json",
}
PART: Final = ".part"
_DIGITS: Final = 16
_FLUSH_BYTES: Final = 1 << 20


class Files:
    """The file store of one server.

    Args:
        survives_power_loss: wait for the disk before a file counts as written; else a crash of the process is survived.
    """

    _names_contents: ClassVar[bool] = False
    """Whether the name of an output has a part of its hash: where one that nobody waits for any more may come late."""

    def __init__(self, data_dir: Path, *, survives_power_loss: bool = False) -> None:
        self._survives_power_loss = survives_power_loss
        self._jobs = data_dir / "jobs"
        self._uploads = data_dir / "uploads"
        self._jobs.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(parents=True, exist_ok=True)

    # ---- outputs: engine.interface.engine.OutputStore ---------------------------------------------------------

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.output(job_id, index, media_type, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        self.secure(path)
        return StoredOutput(
            url=f"/v1/jobs/{job_id}/outputs/{index}",
            size_bytes=len(content),
            sha256=sha256,
        )

    def output(self, job_id: str, index: int, media_type: str, sha256: str = "") -> Path:
        """
        Args:
            sha256: of the content, as `output.ready` tells it.
        """
        stem = f"{index}-{sha256[:_DIGITS]}" if self._names_contents else str(index)
        return self._job(job_id) / "outputs" / f"{stem}{SUFFIXES[media_type]}"

    # ---- inputs ----------------------------------------------------------------------------------------------

    def inputs(self, job_id: str) -> Path:
        """The folder of a job's inputs; made if it is not there."""
        folder = self._job(job_id) / "inputs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def remove_job(self, job_id: str) -> None:
        shutil.rmtree(self._job(job_id), ignore_errors=True)

    # ---- uploads ---------------------------------------------------------------------------------------------

    def upload(self, upload_id: str) -> Path:
        return _sharded(self._uploads, upload_id)

    async def receive(self, upload_id: str, chunks: AsyncIterator[bytes], max_bytes: int) -> tuple[Path, int]:
        """Stream an upload to disk; returns a partial file, to be checked and then kept with `keep`.

        Raises:
            ProtocolError: `too_large`, as soon as it is; nothing is left behind.
        """
        path = self.upload(upload_id)
        part = path.with_name(path.name + PART)
        await anyio.to_thread.run_sync(lambda: part.parent.mkdir(parents=True, exist_ok=True))
        return part, await self.receive_to(part, chunks, max_bytes)

    async def receive_to(self, part: Path, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """Stream `chunks` into the file `part`; returns its size. On any error the file is removed."""
        size, waiting = 0, bytearray()
        try:
            async with await anyio.open_file(part, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise ProtocolError(ErrorCode.TOO_LARGE, f"body: larger than the allowed {max_bytes} bytes")
                    waiting += chunk
                    if len(waiting) >= _FLUSH_BYTES:  # one trip to a thread per megabyte, not per network packet
                        await file.write(bytes(waiting))
                        waiting.clear()
                await file.write(bytes(waiting))
        except BaseException:
            await anyio.Path(part).unlink(missing_ok=True)
            raise
        return size

    def keep(self, part: Path) -> Path:
        """Give a checked partial file its name. Blocks."""
        path = part.with_name(part.name.removesuffix(PART))
        part.replace(path)
        self.secure(path)
        return path

    def secure(self, path: Path) -> None:
        """Wait until a file is on the disk under its name, if this store is to survive a power loss. Blocks."""
        if self._survives_power_loss:
            _sync(path)
            _sync(path.parent)

    def remove_upload(self, upload_id: str) -> None:
        self.upload(upload_id).unlink(missing_ok=True)

    # ---- other machines --------------------------------------------------------------------------------------

    async def bring(self, path: Path) -> Path:
        """Have a file of this store on this machine, if there is one at all. Awaited before a file is read.

        Here all files are; see `service.cluster.shared_files`.

        Raises:
            ServiceError: `not_ready`: it cannot be had at the moment.
        """
        return path

    async def share(self, paths: Iterable[Path]) -> None:
        """Let every machine that works with this one have these files of this store.

        Raises:
            ServiceError: `not_ready`: they cannot be stored at the moment.
        """

    # ---- what is left over -----------------------------------------------------------------------------------

    def job_ids(self) -> Iterator[str]:
        """Every job that has a folder."""
        for folder in self._jobs.glob("??/*"):
            if is_id(folder.name):
                yield folder.name

    def upload_ids(self) -> Iterator[str]:
        """Every upload that has a file."""
        for path in self._uploads.glob("??/*"):
            if is_id(path.name):
                yield path.name

    def remove_partial(self, before: float) -> None:
        """Remove what was left half written before the Unix time `before`."""
        for folder in (self._jobs, self._uploads):
            for part in folder.rglob(f"*{PART}"):
                with contextlib.suppress(FileNotFoundError):
                    # Not the time of the last write: a link made just now to an old upload carries the upload's.
                    if part.stat().st_ctime < before:
                        part.unlink()

    def _job(self, job_id: str) -> Path:
        return _sharded(self._jobs, job_id)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears under `path` complete, or not at all. Blocks."""
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: kept for as long as either is. Copies where links are not possible."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _sharded(root: Path, identifier: str) -> Path:
    # The last two digits are random, the first are the time: the last spread evenly.
    if not is_id(identifier):
        raise ValueError(f"not an id: {identifier!r:.60}")
    return root / identifier[-2:] / identifier


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
