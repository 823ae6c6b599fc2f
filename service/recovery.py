"""What a server finds when it starts: jobs of an earlier one that have not ended, and files nobody knows."""

import time
from collections.abc import Iterator
from typing import Final

import anyio.to_thread
import structlog

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import JobCancelled, JobFailed, JobRequeued
from protocol.ids import new_id
from protocol.jobs import JobStatus
from service.broker import FactLog
from service.drafts import Draft
from service.files import Files
from service.job_rows import record_from_row
from service.ledger import Ledger
from service.queue_view import QueueView
from service.records import JobRecord
from service.store import Store

logger = structlog.get_logger(__name__)

_REASON: Final = "the server ended while the job was running"


async def recover(
    store: Store, ledger: Ledger, arrivals: Iterator[int], queue: QueueView, log: FactLog, *, max_attempts: int
) -> None:
    """Take over every job that has not ended: queued ones wait again, running ones are requeued.

    A job that the client asked to cancel is cancelled; one whose attempts ended with the server `max_attempts` times is
    failed, for it may be what ends it.
    """
    outputs = await store.outputs_of_active_jobs()
    drafts = []
    rows = await store.active_jobs()
    for row in rows:
        record = record_from_row(row, next(arrivals), outputs.get(row["id"], 0))
        ledger.add(record)
        if record.status is JobStatus.RUNNING:
            drafts.append(_after_crash(record, max_attempts))
        elif record.cancel_requested:
            drafts.append(Draft(JobCancelled(reason="cancelled by the client"), record.id, record.attempt))
        else:
            queue.enqueue(record)
    log.put(drafts)
    if rows:
        logger.info("jobs.recovered", queued=len(rows) - len(drafts), ended_or_requeued=len(drafts))


async def remove_orphans(store: Store, files: Files) -> None:
    """Remove half-written files, and files of jobs and uploads that were never accepted, of earlier servers.

    Runs beside the new server's work: ids tell their time, so what this server makes meanwhile is left alone.
    """
    first_of_ours, started_at = new_id(), time.time()
    await anyio.to_thread.run_sync(files.remove_partial, started_at)
    for job_id in await anyio.to_thread.run_sync(lambda: list(files.job_ids())):
        if job_id < first_of_ours and not await store.knows_job(job_id):
            await anyio.to_thread.run_sync(files.remove_job, job_id)
    for upload_id in await anyio.to_thread.run_sync(lambda: list(files.upload_ids())):
        if upload_id < first_of_ours and not await store.knows_upload(upload_id):
            await anyio.to_thread.run_sync(files.remove_upload, upload_id)


def _after_crash(record: JobRecord, max_attempts: int) -> Draft:
    if record.cancel_requested:
        return Draft(JobCancelled(reason="cancelled by the client"), record.id, record.attempt)
    if record.crashes + 1 >= max_attempts:
        message = f"{_REASON}, {max_attempts} times; it is not tried again"
        error = ErrorBody(code=ErrorCode.ATTEMPTS_EXHAUSTED, message=message)
        return Draft(JobFailed(error=error), record.id, record.attempt, is_crash=True)
    return Draft(JobRequeued(attempt=record.attempt + 1, reason=_REASON), record.id, record.attempt, is_crash=True)
