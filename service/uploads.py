"""Pictures that clients send ahead of the jobs that use them: what is known of each, for as long as it is kept.

Uploads          what the rest of the server may ask of them
StoredUploads    of one server: rows of its database
"""

from typing import Final, Protocol

import anyio.to_thread

from service.database import Row
from service.files import Files
from service.store import Store

_PAGE: Final = 200


class Uploads(Protocol):
    """The uploads of one server, or of all gateways of a cluster; their files are in `Files`."""

    async def add(self, row: Row) -> None:
        """Note an upload whose file is there under its name.

        Args:
            row: as in the table `uploads`: id, key_id, name, media_type, width, height, size_bytes, expires_at.

        Raises:
            StoreUnavailable, ServiceError: it cannot be noted now; the upload does not count.
        """
        ...

    async def find(self, upload_id: str, key_id: str | None, now: str) -> Row | None:
        """The row of an upload; None if there is none, it has expired, or is another key's (None sees all).

        Args:
            upload_id: an id.
            now: a timestamp.

        Raises:
            StoreUnavailable, ServiceError: it cannot be looked for now.
        """
        ...

    async def remove_expired(self, now: str) -> None:
        """Remove those that have expired, with their files.

        Raises:
            StoreUnavailable, ServiceError: some are left.
        """
        ...


class StoredUploads:
    """See `Uploads`. For the event loop only."""

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files

    async def add(self, row: Row) -> None:
        await self._store.add_upload(row)

    async def find(self, upload_id: str, key_id: str | None, now: str) -> Row | None:
        return await self._store.upload(upload_id, key_id, now)

    async def remove_expired(self, now: str) -> None:
        while upload_ids := await self._store.expired_uploads(now, _PAGE):
            await self._store.delete_uploads(upload_ids)
            for upload_id in upload_ids:
                await anyio.to_thread.run_sync(self._files.remove_upload, upload_id)
