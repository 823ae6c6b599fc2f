"""Removes what has had its time: ended jobs with their pictures, uploads, idempotency keys."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from service.clock import now, timestamp
from service.database import StoreUnavailable
from service.removal import Removal
from service.settings import Settings
from service.store import Store
from service.uploads import Uploads

logger = structlog.get_logger(__name__)

_PAGE: Final = 200
_REASON: Final = "it was kept for as long as the server keeps jobs"


class Expiry:
    """A background task that looks for expired things, again and again.

    Args:
        is_in_charge: whether it is for this server to remove what others have too.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        uploads: Uploads,
        removal: Removal,
        *,
        is_in_charge: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        self._store = store
        self._uploads = uploads
        self._removal = removal
        self._is_in_charge = is_in_charge

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
        await self._store.delete_old_idempotency(timestamp(now() - timedelta(seconds=self._settings.idempotency_ttl_s)))
        if not self._is_in_charge():
            return
        at = timestamp()
        while jobs := await self._store.expired_jobs(at, _PAGE):
            await self._removal.remove(jobs, _REASON)
            logger.info("jobs.expired", count=len(jobs))
        await self._uploads.remove_expired(at)
