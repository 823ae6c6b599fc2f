"""Removes what has had its time: ended jobs with their pictures, uploads, idempotency keys."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import anyio.to_thread
import structlog

from service.clock import now, timestamp
from service.files import Files
from service.settings import Settings
from service.store import Store, StoreUnavailable

logger = structlog.get_logger(__name__)

_PAGE: Final = 200


class Expiry:
    """A background task that looks for expired things, again and again."""

    def __init__(self, settings: Settings, store: Store, files: Files) -> None:
        self._settings = settings
        self._store = store
        self._files = files

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(self._settings.expiry_interval_s)
            try:
                await self.sweep()
            except StoreUnavailable:
                logger.exception("expiry.failed")

    async def sweep(self) -> None:
        """Remove everything that has expired by now."""
        at = timestamp()
        while job_ids := await self._store.expired_jobs(at, _PAGE):
            await self.remove(job_ids)
            logger.info("jobs.expired", count=len(job_ids))
        while upload_ids := await self._store.expired_uploads(at, _PAGE):
            await self._store.delete_uploads(upload_ids)
            for upload_id in upload_ids:
                await anyio.to_thread.run_sync(self._files.remove_upload, upload_id)
        await self._store.delete_old_idempotency(timestamp(now() - timedelta(seconds=self._settings.idempotency_ttl_s)))

    async def remove(self, job_ids: Sequence[str]) -> None:
        """Remove ended jobs with everything that hangs on them.

        Rows go before files: a file without a row is found at the next start, a row without a file would be a promise
        that cannot be kept.
        """
        await self._store.delete_jobs(job_ids)
        for job_id in job_ids:
            await anyio.to_thread.run_sync(self._files.remove_job, job_id)
