"""Uploads that every gateway of a cluster can use: each has its row beside its file, in the store of objects."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import orjson

from service.cluster.objects import NotThere, Objects
from service.cluster.shared_files import SharedFiles
from service.database import Row
from service.files import write_whole

_FOLDER: Final = "uploads"
_JSON: Final = "application/json"
_ROW: Final = ".json"


class SharedUploads:
    """See `service.uploads.Uploads`. For the event loop only.

    Args:
        ttl_s: how long an upload is kept; what is younger is not looked at when expired ones are removed.
    """

    def __init__(self, files: SharedFiles, objects: Objects, *, ttl_s: float) -> None:
        self._files = files
        self._objects = objects
        self._ttl = timedelta(seconds=ttl_s)

    async def add(self, row: Row) -> None:
        """The file goes first: where a row is, the file is."""
        path = self._files.upload_row(row["id"])
        try:
            await self._files.share([self._files.upload(row["id"])])
            await self._objects.put(self._files.name_of(path), orjson.dumps(dict(row)), _JSON)
        except BaseException:
            self._files.remove_upload(row["id"])
            raise
        await anyio.to_thread.run_sync(write_whole, path, orjson.dumps(dict(row)))

    async def find(self, upload_id: str, key_id: str | None, now: str) -> Row | None:
        path = await self._files.bring(self._files.upload_row(upload_id))
        row = await anyio.to_thread.run_sync(_read, path)
        if row is None or key_id not in {None, row["key_id"]} or row["expires_at"] <= now:
            return None
        return row

    async def remove_expired(self, now: str) -> None:
        """For one of all gateways; copies on other machines go as `SharedFiles.sweep` has it."""
        oldest_kept = datetime.fromisoformat(now) - self._ttl
        latest: dict[str, datetime] = {}
        for found in await self._objects.list(_FOLDER):
            name = found.name.removesuffix(_ROW)
            latest[name] = max(found.changed_at, latest.get(name, found.changed_at))
        expired = []
        for name, changed_at in latest.items():
            if changed_at <= oldest_kept and await self._has_expired(name, now):
                expired.append(name)
        # Rows first: a row without its file would be a promise that cannot be kept.
        await self._objects.delete([name + _ROW for name in expired])
        await self._objects.delete(expired)
        await anyio.to_thread.run_sync(self._remove_copies, [name.rpartition("/")[2] for name in expired])

    async def _has_expired(self, name: str, now: str) -> bool:
        """Whether the row says so; an old file without one was never an upload."""
        try:
            return bool(orjson.loads(await self._objects.read(name + _ROW))["expires_at"] <= now)
        except NotThere:
            return True

    def _remove_copies(self, upload_ids: Sequence[str]) -> None:
        for upload_id in upload_ids:
            self._files.remove_upload(upload_id)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return row
