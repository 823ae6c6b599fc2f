"""The jobs of a caller that came by one dialect: the one an id names, and the one that has been running longest."""

from protocol.errors import ErrorCode, ProtocolError
from protocol.jobs import Job
from service.auth import Key
from service.dialects.base import Desk


async def own_job(desk: Desk, job_id: str, key: Key, dialect: str) -> Job | None:
    """The job of that id; None if there is none, it is not the caller's, or it did not come by this dialect."""
    try:
        job = await desk.get(job_id, key)
    except ProtocolError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
    return job if job.labels.get("dialect") == dialect else None


async def running_longest(desk: Desk, key: Key, dialect: str) -> Job | None:
    """Of the caller's running jobs of this dialect the one that was started first; None if none runs."""
    running = [record.id for record in desk.services.ledger.running.values() if record.key_id == key.id]
    found = [job for job_id in running if (job := await own_job(desk, job_id, key, dialect)) is not None]
    return min(found, key=lambda job: job.started_at or job.created_at, default=None)
