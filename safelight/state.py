"""What the facts of a job add up to, seen from the client."""

from typing import Any

from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    OutputReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import Job, JobStatus


def follow(job: Job, event: Event) -> Job:
    """The job after `event`; a fact it already includes changes nothing."""
    if event.is_fact and event.seq <= job.seq:
        return job
    changes = _changes(job, event)
    if event.is_fact:
        changes["seq"] = event.seq
    return job.model_copy(update=changes)


def _changes(job: Job, event: Event) -> dict[str, Any]:
    body = event.body
    match body:
        case JobQueued():
            return {"status": JobStatus.QUEUED, "attempt": body.attempt}
        case JobStarted():
            return {
                "status": JobStatus.RUNNING,
                "attempt": body.attempt,
                "started_at": event.at,
                "position": None,
                "progress": None,
            }
        case JobRequeued():
            return {"status": JobStatus.QUEUED, "attempt": body.attempt, "progress": None, "eta_s": None}
        case OutputReady():
            return {"outputs": (*(output for output in job.outputs if output.index != body.index), body)}
        case JobSucceeded():
            return _end(JobStatus.SUCCEEDED, event) | {"progress": 1.0}
        case JobFailed():
            return _end(JobStatus.FAILED, event) | {"error": body.error}
        case JobCancelled():
            return _end(JobStatus.CANCELLED, event)
        case QueueMoved() if job.status is JobStatus.QUEUED:
            return {"position": body.position, "eta_s": body.eta_s}
        case StepFinished() if job.status is JobStatus.RUNNING:
            return {"progress": body.progress, "eta_s": body.eta_s}
        case _:
            return {}


def _end(status: JobStatus, event: Event) -> dict[str, Any]:
    return {"status": status, "finished_at": event.at, "position": None, "eta_s": None}
