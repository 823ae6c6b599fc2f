"""The files of a machine of a cluster: its data folder is a cache of the objects that all machines share.

Objects are named as files are: `jobs/3f/<job id>/inputs/image.png` in the data folder, and in the store. Outputs have a
part of their hash in their names: one that a lost worker still stores is not in the place of the one that counts.
"""

import asyncio
import errno
import os
import stat
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
import structlog

from engine.interface.engine import StoredOutput
from protocol.ids import is_id
from service.clock import now
from service.cluster.objects import NotThere, Objects, StoreAway
from service.files import PART, SUFFIXES, Files

logger = structlog.get_logger(__name__)

_MEDIA_TYPES: Final = {suffix: media_type for media_type, suffix in SUFFIXES.items()}
_UNKNOWN: Final = "application/octet-stream"
_SWEEP_S: Final = 120.0
_FRESH_S: Final = 600.0
"""What was used within this time may be just about to be read."""
_KEPT_S: Final = 86_400.0
"""What nobody used for so long goes, however much room there is: so does what has been removed from the store."""
_ORPHANED: Final = timedelta(days=1)
_SHARDS: Final = 256


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file of this machine that is, or will be, in the store too.

    Attributes:
        owner: the job or upload it is of.
        size_bytes: what its removal gains; a file with several names counts in parts.
        length: of the file.
        used_at: Unix time.
    """

    path: Path
    owner: str
    size_bytes: float
    length: int
    used_at: float


class SharedFiles(Files):
    """See the module. For the event loop only, but for what `Files` says may be called on a thread.

    Args:
        cache_bytes: what the copies on this machine may take; those used last stay.
    """

    _names_contents = True

    def __init__(
        self, data_dir: Path, objects: Objects, *, cache_bytes: int, survives_power_loss: bool = False
    ) -> None:
        super().__init__(data_dir, survives_power_loss=survives_power_loss)
        self._root = data_dir
        self._objects = objects
        self._cache_bytes = cache_bytes
        self._fetching: dict[Path, asyncio.Task[None]] = {}
        self.in_work: Callable[[], Collection[str]] = frozenset
        """The jobs this machine is working on: their files stay."""

    async def run(self) -> None:
        """Keep the copies within their limit, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_SWEEP_S)
                with suppress(StoreAway):  # it has been told of; the next time will do
                    await self.sweep()
        finally:
            for fetching in self._fetching.values():
                fetching.cancel()

    # ---- between this machine and the others -----------------------------------------------------------------

    async def bring(self, path: Path) -> Path:
        """See `Files.bring`. Those who want the same file share one fetch; the file of an object that is gone is not
        there afterwards.
        """
        if not await anyio.to_thread.run_sync(_used, path):
            fetching = self._fetching.get(path)
            if fetching is None:
                fetching = asyncio.create_task(self._fetch(path), name=f"fetch of {path.name}")
                self._fetching[path] = fetching
                fetching.add_done_callback(lambda done: self._fetched(path, done))
            await asyncio.shield(fetching)  # one who does not wait any more must not take it from the others
        return path

    async def share(self, paths: Iterable[Path]) -> None:
        """See `Files.share`. All at once."""
        try:
            async with asyncio.TaskGroup() as group:
                for path in paths:
                    media_type = _MEDIA_TYPES.get(path.suffix, _UNKNOWN)
                    group.create_task(self._objects.put(self.name_of(path), path, media_type))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        """See `OutputStore`. Comes back when the output is in the store."""
        stored = super().write(job_id, index, media_type, content)
        path = self.output(job_id, index, media_type, stored.sha256)
        try:
            self._objects.put_blocking(self.name_of(path), content, media_type)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, StoreAway):  # its reason is in the log, and the operator's business
                raise OSError(errno.EIO, "the cluster's object store does not take the output") from error
            raise
        return stored

    async def remove_shared_job(self, job_id: str) -> None:
        """Remove the files of a job here and in the store; other machines drop their copies by and by.

        Raises:
            StoreAway: some are left there.
        """
        await anyio.to_thread.run_sync(self.remove_job, job_id)
        await self._objects.delete_prefix(self.name_of(self._job(job_id)))

    async def remove_shared_orphans(self, knows: Callable[[str], Awaitable[bool]]) -> None:
        """Remove from the store what is of no job and a day old: the job never came to be, or its removal broke off.

        Args:
            knows: whether there is a job of this id.

        Raises:
            StoreAway: some are left there.
        """
        before = now() - _ORPHANED
        for shard in range(_SHARDS):
            latest: dict[str, datetime] = {}
            for found in await self._objects.list(f"jobs/{shard:02x}"):
                job_id = found.name.split("/")[2]
                latest[job_id] = max(found.changed_at, latest.get(job_id, found.changed_at))
            for job_id, changed_at in latest.items():
                if is_id(job_id) and changed_at < before and not await knows(job_id):
                    await self.remove_shared_job(job_id)

    def name_of(self, path: Path) -> str:
        """The object that a file of this store is a copy of."""
        return path.relative_to(self._root).as_posix()

    # ---- what is here ----------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Remove copies until the rest is within the limit, those first that nobody used for longest.

        None of a job in work, none that was used just now, and none that is not in the store: that may be on its way
        there. What nobody used for a day goes in any case: it has long arrived, or been removed.

        Raises:
            StoreAway: it cannot be told what is there.
        """
        copies = await anyio.to_thread.run_sync(lambda: sorted(self._copies(), key=lambda copy: copy.used_at))
        in_work, at = set(self.in_work()), time.time()
        excess = sum(copy.size_bytes for copy in copies) - self._cache_bytes
        removed = []
        for copy in copies:
            unused_s = at - copy.used_at
            if unused_s < _FRESH_S or (excess <= 0 and unused_s < _KEPT_S):
                break
            if copy.owner in in_work:
                continue
            if unused_s < _KEPT_S and await self._objects.size(self.name_of(copy.path)) != copy.length:
                continue
            removed.append(copy.path)
            excess -= copy.size_bytes
        await anyio.to_thread.run_sync(self._remove, removed)

    def remove_upload(self, upload_id: str) -> None:
        super().remove_upload(upload_id)
        self.upload_row(upload_id).unlink(missing_ok=True)

    def upload_row(self, upload_id: str) -> Path:
        """The file with what is known of an upload."""
        path = self.upload(upload_id)
        return path.with_name(f"{path.name}.json")

    async def _fetch(self, path: Path) -> None:
        with suppress(NotThere):
            await self._objects.fetch(self.name_of(path), path)
            await anyio.to_thread.run_sync(self.secure, path)

    def _fetched(self, path: Path, done: asyncio.Task[None]) -> None:
        del self._fetching[path]
        if not done.cancelled():
            done.exception()  # asyncio complains of those nobody looked at

    def _copies(self) -> Iterator[_Copy]:
        """All there are. Blocks."""
        for folder in (self._jobs, self._uploads):
            for path in folder.glob("??/**/*"):
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if stat.S_ISREG(found.st_mode) and path.suffix != PART:
                        owner = path.relative_to(folder).parts[1].partition(".")[0]
                        size_bytes = found.st_size / found.st_nlink
                        yield _Copy(path, owner, size_bytes, found.st_size, max(found.st_atime, found.st_mtime))

    def _remove(self, paths: Sequence[Path]) -> None:
        """Remove files, and the folders of jobs that nothing is in any more. Blocks."""
        for path in paths:
            path.unlink(missing_ok=True)
            if self._jobs in path.parents:
                with suppress(OSError):  # something is in it
                    path.parent.rmdir()
                    path.parent.parent.rmdir()


def _used(path: Path) -> bool:
    """Note that a file is used now; False if it is not there. Blocks."""
    try:
        # The other time is told to clients: it is the file's own.
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except FileNotFoundError:
        return False
    return True
