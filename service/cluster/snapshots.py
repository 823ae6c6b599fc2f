"""Copies of a gateway's database beside the pictures: a new gateway begins with one instead of the whole stream."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
import structlog

from service.clock import now
from service.cluster.fact_writer import REMOVED_NOTE_TTL_S
from service.cluster.objects import NotThere, Objects, StoreAway
from service.database import StoreUnavailable
from service.migrations import DATABASE_NAME, NewerDatabase, migrate
from service.settings import SettingsError
from service.store import Store

logger = structlog.get_logger(__name__)

_FOLDER: Final = "snapshots"
_KEPT: Final = 2
_MEDIA_TYPE: Final = "application/vnd.sqlite3"
_LOOK_S: Final = 30.0
_DIGITS: Final = 20
_MOST_BYTES: Final = 5 * 10**9
"""Of an object that is put in one request, as S3 has it."""
_HEARD_ALL: Final = timedelta(seconds=REMOVED_NOTE_TTL_S) - timedelta(days=1)
"""A database that was written so lately hears of every job that was removed since; one from before does not."""


class Snapshots:
    """Writes and reads them. For the event loop only.

    Args:
        stream_id: whose history the facts stream is; snapshots of another one are not looked at.
    """

    def __init__(self, objects: Objects, data_dir: Path, stream_id: str) -> None:
        self._objects = objects
        self._data_dir = data_dir
        self._prefix = f"{_FOLDER}/{stream_id}"
        self._stream_id = stream_id

    async def begin(self, last: int) -> None:
        """Have a database in the data folder that is of this stream, or none; from a snapshot if need be.

        Args:
            last: the stream's last number. A database that knows more is of a stream that has lost some of it.

        Raises:
            StoreAway: it is not known whether there is one.
            SettingsError: there is the database of a server that is everything in one, with jobs in it.
        """
        path = self._data_dir / DATABASE_NAME
        if await anyio.to_thread.run_sync(self._is_ours, path, last):
            return
        await anyio.to_thread.run_sync(_remove, path)
        listed = [found for found in await self._objects.list(self._prefix) if found.changed_at > now() - _HEARD_ALL]
        for name in sorted((found.name for found in listed), reverse=True):
            if _position(name) > last:
                continue
            try:
                await self._objects.fetch(name, path)
            except NotThere:  # a newer one has taken its place
                continue
            if await anyio.to_thread.run_sync(self._is_ours, path, last):
                logger.info("snapshot.used", name=name)
                return
            await anyio.to_thread.run_sync(_remove, path)

    async def run(self, store: Store, every: int) -> None:
        """Write one whenever the database has come so many facts further, until cancelled."""
        written: int | None = None
        while True:
            try:
                if written is None:
                    listed = await self._objects.list(self._prefix)
                    written = max((_position(found.name) for found in listed), default=0)
                position = await store.position()
                if position - written >= every:
                    await self.write(store)
                    written = position
            except (StoreAway, StoreUnavailable) as error:
                logger.warning("snapshot.failed", reason=str(error))
            await asyncio.sleep(_LOOK_S)

    async def write(self, store: Store) -> None:
        """Write a snapshot of the database as it is now, then remove the older ones but one.

        Raises:
            StoreAway, StoreUnavailable: it could not be.
        """
        copy = self._data_dir / "snapshot.part"
        await anyio.to_thread.run_sync(_remove, copy)
        try:
            position = await store.copy_to(copy)
            if copy.stat().st_size > _MOST_BYTES:
                logger.warning("snapshot.failed", reason="the database is larger than an object may be")
                return
            await self._objects.put(f"{self._prefix}/{position:0{_DIGITS}}.db", copy, _MEDIA_TYPE)
        finally:
            await anyio.to_thread.run_sync(_remove, copy)
        older = sorted(found.name for found in await self._objects.list(self._prefix))[:-_KEPT]
        await self._objects.delete(older)
        logger.info("snapshot.written", position=position)

    def _is_ours(self, path: Path, last: int) -> bool:
        """Whether a database is there, can be used, and is of this stream. Blocks."""
        if not path.exists():
            return False
        is_old = datetime.fromtimestamp(path.stat().st_mtime, UTC) < now() - _HEARD_ALL
        try:
            with closing(sqlite3.connect(path)) as database:
                migrate(database)
                meta = dict(database.execute("SELECT name, value FROM meta"))
                is_alone = "position" not in meta and database.execute("SELECT 1 FROM jobs LIMIT 1").fetchone()
        except (sqlite3.Error, NewerDatabase) as error:
            logger.warning("database.unusable", path=path.name, reason=str(error))
            return False
        if is_alone and meta.get("database_id") != self._stream_id:
            raise SettingsError(
                f"data_dir: {path.parent} has the jobs of a server without a cluster; choose another folder"
            )
        return not is_old and meta.get("database_id") == self._stream_id and int(meta.get("position", "0")) <= last


def _position(name: str) -> int:
    return int(Path(name).stem)


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
