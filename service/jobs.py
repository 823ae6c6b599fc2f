"""Cancel, get, wait, list: what clients do with jobs there are, whichever transport they come by."""

import asyncio
import time
from typing import Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import StepFinished
from protocol.ids import made_at
from protocol.jobs import Job, JobPage, JobStatus
from protocol.requests import TASKS
from service.admission import Admission
from service.auth import Key
from service.broker import Taker
from service.feeds import Feeds
from service.job_filter import EVERY_JOB, JobFilter
from service.ledger import Ledger
from service.outlet import BufferedOutlet, Lagging
from service.settings import Settings
from service.store import Store

_CANCEL_REASON: Final = "cancelled by the client"
_IMAGES: Final = "images"
_NEW_S: Final = 30.0
"""A job that was made so lately may be on its way to this server."""
MAX_PAGE: Final = 200


class JobManager:
    """The jobs of one server. For the event loop only."""

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger,
        store: Store,
        broker: Taker,
        feeds: Feeds,
        admission: Admission,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._broker = broker
        self._feeds = feeds
        self._admission = admission
        self.outlets: set[BufferedOutlet] = set()
        """Of those who wait for a job; closed, they are answered with the job as it is."""

    # ---- cancel ----------------------------------------------------------------------------------------------

    async def cancel(self, job_id: str, key: Key) -> Job:
        """Ask that a job end. The `job.cancelled` event, not this answer, says that it did.

        Raises:
            ProtocolError: `not_found` (also for another key's job), or `already_ended`.
        """
        record = self._ledger.get(job_id)
        if record is None or key.visible not in {None, record.key_id}:
            job = await self.get(job_id, key)
            raise _ended(job.id, job.status)
        if record.status is not None and record.status.is_terminal:
            raise _ended(job_id, record.status)
        await self._broker.cancel(record, _CANCEL_REASON)
        return await self.get(job_id, key)

    async def skip(self, job_id: str, key: Key) -> Job:
        """Ask that a running job leave out the image it is at. The `output.skipped` event says that it did.

        Raises:
            ProtocolError: `not_found`, `already_ended`; `invalid_params`: it waits, or its task has no several images.
        """
        job = await self.get(job_id, key)
        if job.status.is_terminal:
            raise _ended(job.id, job.status)
        if job.status is not JobStatus.RUNNING:
            raise ProtocolError(ErrorCode.INVALID_PARAMS, f"job {job_id}: it waits; there is no image to skip")
        if _IMAGES not in TASKS[job.task].params.model_fields:
            message = f"job {job_id}: {job.task} has no images to skip between; cancel it instead"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message)
        self._broker.skip(job_id)
        return job

    # ---- get -------------------------------------------------------------------------------------------------

    async def get(self, job_id: str, key: Key) -> Job:
        """A job as it is now.

        Raises:
            ProtocolError: `not_found`; a job of another key is not found either.
        """
        job = await self._store.job(job_id, key.visible)
        if job is None and time.time() - made_at(job_id) < _NEW_S and await self._feeds.catch_up():
            job = await self._store.job(job_id, key.visible)
        if job is None:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"job {job_id:.64}: there is none, or it is not yours")
        return self._with_hints(job)

    async def wait(self, job_id: str, key: Key, wait_s: float, *, known: Job | None = None) -> Job:
        """A job when it has ended, or as it is after `wait_s` seconds.

        Args:
            known: what the caller knows of it already; a later state is as good.

        Raises:
            ProtocolError: `not_found`.
        """
        job = known or await self.get(job_id, key)
        if job.status.is_terminal or wait_s <= 0:
            return job
        outlet = BufferedOutlet(self._settings.event_buffer)
        subscription = await self._feeds.follow_job(job_id, key.visible, job.seq, outlet)
        self.outlets.add(outlet)
        try:
            async with asyncio.timeout(wait_s):
                while not any(event.is_terminal for event in await outlet.take()):
                    pass
        except (TimeoutError, Lagging):
            pass
        finally:
            self.outlets.discard(outlet)
            subscription.close()
        return await self.get(job_id, key)

    async def list(self, key: Key, *, cursor: str | None = None, wanted: JobFilter = EVERY_JOB, limit: int) -> JobPage:
        """A page of the key's jobs, newest first."""
        limit = min(limit, MAX_PAGE)
        jobs = await self._store.jobs(key.id, before=cursor, wanted=wanted, limit=limit + 1)
        page = jobs[:limit]
        return JobPage(
            jobs=tuple(self._with_hints(job) for job in page), next=page[-1].id if len(jobs) > limit else None
        )

    def preview(self, job_id: str, key: Key) -> tuple[bytes, str] | None:
        """The newest preview of a running job and its media type, if there is one."""
        record = self._ledger.get(job_id)
        if record is None or key.visible not in {None, record.key_id} or record.preview is None:
            return None
        return record.preview.bytes, record.preview.media_type

    def step(self, job_id: str, key: Key) -> StepFinished | None:
        """The newest step of a running job, if it has told of one."""
        record = self._ledger.get(job_id)
        if record is None or key.visible not in {None, record.key_id}:
            return None
        hint = record.hints.get(StepFinished.TYPE)
        return hint.body if hint is not None and isinstance(hint.body, StepFinished) else None

    def _with_hints(self, job: Job) -> Job:
        record = self._ledger.get(job.id)
        if record is None or job.status.is_terminal:
            return job
        if job.status is JobStatus.RUNNING:
            self._broker.watch(record)  # who asks once asks again
        position = record.position
        if job.status is JobStatus.QUEUED and (place := self._admission.place(job.id)) is not None:
            position = place.position
        return job.model_copy(
            update={
                "position": position if job.status is JobStatus.QUEUED else None,
                "eta_s": record.eta_s,
                "progress": record.progress if job.status is JobStatus.RUNNING else None,
                "cancel_requested": record.cancel_requested,
            }
        )


def _ended(job_id: str, status: JobStatus) -> ProtocolError:
    return ProtocolError(ErrorCode.ALREADY_ENDED, f"job {job_id}: cannot be cancelled, it has already {_PAST[status]}")


_PAST: Final = {
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "been cancelled",
    JobStatus.QUEUED: "ended",
    JobStatus.RUNNING: "ended",
}
"""The last two stand for the moment between the end of a job and this server's knowing of it."""
