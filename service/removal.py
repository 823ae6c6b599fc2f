"""Takes ended jobs away for good, with everything that hangs on them, and tells those who watch."""

from collections.abc import Sequence
from typing import Final, Protocol

import anyio.to_thread

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, JobRemoved
from service.auth import Key
from service.broker import FactLog
from service.clock import timestamp
from service.files import Files
from service.job_views import EndedJob
from service.jobs import JobManager
from service.ledger import Ledger
from service.projection import Projection
from service.store import Store
from service.thumbnails import Thumbnails

_LAST_N: Final = 2**53 - 1
"""After every other hint of the job, whose numbers have gone with it; as much as every client can count."""
_ASKED: Final = "removed by the client"


class Removing(Protocol):
    """Has jobs taken away on all machines of a cluster; this one then hears of it as the others do."""

    async def remove(self, jobs: Sequence[EndedJob], reason: str) -> None:
        """
        Raises:
            StoreUnavailable: some are left.
        """
        ...


class Removal:
    """See the module. For the event loop only."""

    def __init__(
        self,
        store: Store,
        files: Files,
        thumbnails: Thumbnails,
        ledger: Ledger,
        log: FactLog,
        projection: Projection,
        jobs: JobManager,
        *,
        removing: Removing | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._thumbnails = thumbnails
        self._ledger = ledger
        self._log = log
        self._projection = projection
        self._jobs = jobs
        self._removing = removing
        self._going: set[str] = set()

    async def forget(self, job_id: str, key: Key) -> None:
        """Remove an ended job, its facts, inputs and outputs, now instead of when it expires.

        Raises:
            ProtocolError: `not_found` (also for another key's job, and one that has just gone), or `not_ended`.
        """
        job = await self._jobs.get(job_id, key)
        if not job.status.is_terminal:
            message = f"job {job_id}: cannot be removed, it is {job.status}; cancel it, and wait for its end"
            raise ProtocolError(ErrorCode.NOT_ENDED, message)
        ended = await self._store.ended_job(job_id)
        if ended is None or job_id in self._going:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"job {job_id}: has just been removed")
        await self.remove([ended], _ASKED)

    async def remove(self, jobs: Sequence[EndedJob], reason: str) -> None:
        """Remove ended jobs with everything that hangs on them, wherever there is something of them.

        Args:
            reason: told to those who watch.
        """
        if self._removing is not None:
            await self._removing.remove(jobs, reason)
        else:
            await self.take_away(jobs, reason)

    async def take_away(self, jobs: Sequence[EndedJob], reason: str) -> None:
        """Remove what this server has of ended jobs; nothing yet of one whose end has not been told.

        Rows go before files: a file without a row is found at the next start, a row without a file would be a promise
        that cannot be kept.

        Args:
            reason: told to those who watch.
        """
        if any(job.id in self._ledger for job in jobs):
            await self._log.drained()  # the end is stored, and about to be told: nothing may come before that
        told = [job for job in jobs if job.id not in self._ledger]
        ids = [job.id for job in told]
        self._going.update(ids)
        try:
            await self._store.delete_jobs(ids)
            at = timestamp()
            for job in told:
                body = JobRemoved(reason=reason)
                event = Event(body, at=at, job_id=job.id, seq=job.seq, attempt=job.attempt, n=_LAST_N)
                self._projection.tell(event, job.key_id)
            for job_id in ids:
                self._thumbnails.remove(job_id)
                await anyio.to_thread.run_sync(self._files.remove_job, job_id)
        finally:
            self._going.difference_update(ids)
