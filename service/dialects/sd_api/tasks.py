"""What a task is to its clients: our job, in the words of the Stable Diffusion API."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from protocol.errors import ProtocolError
from protocol.events import OutputReady
from protocol.jobs import Job, JobStatus
from service.clock import seconds_between, timestamp
from service.dialects.base import Desk
from service.dialects.stored_file import StoredFile
from service.files import SUFFIXES

DIALECT_LABEL: Final = "sd_api"
"""On every job of this dialect, as `dialect`; `base_url` is how its client called this server."""
CANCELLED: Final = "任务已取消"
PICTURES: Final = "/sd-images"
"""The path of results that are on this server, with the name of the bucket in the original's document."""
_NAME: Final = re.compile(r"(?P<job_id>[0-9a-f-]{36})-(?P<index>\d{1,2})(?P<suffix>\.[a-z]{3})", re.ASCII)


class TaskStatus(StrEnum):
    """Where a task stands; the last two are for good."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


STATUS_WORDS: Final[Mapping[JobStatus, TaskStatus]] = {
    JobStatus.QUEUED: TaskStatus.PENDING,
    JobStatus.RUNNING: TaskStatus.PROCESSING,
    JobStatus.SUCCEEDED: TaskStatus.COMPLETED,
    JobStatus.FAILED: TaskStatus.FAILED,
    JobStatus.CANCELLED: TaskStatus.FAILED,
}
"""Total. A job that was interrupted and waits to be tried again is still `processing`."""


def status_of(job: Job) -> TaskStatus:
    """The word for where a job stands; it never goes back."""
    if job.status is JobStatus.QUEUED and job.attempt > 1:
        return TaskStatus.PROCESSING
    return STATUS_WORDS[job.status]


def shown(desk: Desk, job: Job, base_url: str) -> dict[str, Any]:
    """The body of `GET /api/v1/tasks/{task_id}`.

    Args:
        base_url: of the server, as its client calls it.
    """
    status = status_of(job)
    urls = _urls(desk, job, base_url) if status is TaskStatus.COMPLETED else ()
    return {
        "task_id": job.id,
        "status": status.value,
        "result_url": urls[0] if urls and _is_single(job) else None,
        "result_urls": list(urls) if urls and not _is_single(job) else None,
        "error_message": _error(job) if status is TaskStatus.FAILED else None,
        "created_at": local_iso(job.created_at),
        "updated_at": local_iso(job.finished_at or job.started_at or job.created_at),
    }


def told(desk: Desk, job: Job) -> dict[str, Any]:
    """What a `callback_url` is sent of a task that has ended: the keys that have a value, and no other."""
    status = status_of(job)
    body: dict[str, Any] = {"task_id": job.id, "status": status.value}
    if status is TaskStatus.FAILED:
        return {**body, "error_message": _error(job)}
    urls = _urls(desk, job, job.labels.get("base_url", ""))
    if _is_single(job):
        return {**body, "image_url": urls[0] if urls else None}
    return {**body, "image_urls": list(urls)}


async def picture(desk: Desk, name: str) -> StoredFile | None:
    """The result of this name, for everybody who knows it; None if there is none."""
    match = _NAME.fullmatch(name)
    job = await desk.services.store.job(match["job_id"], None) if match is not None else None
    if match is None or job is None or job.labels.get("dialect") != DIALECT_LABEL:
        return None
    try:
        stored = desk.output(job, int(match["index"]))
    except ProtocolError:
        return None
    if stored.path.suffix != match["suffix"]:
        return None
    await desk.services.files.bring(stored.path)
    return stored


def local_iso(moment: str) -> str:
    """One of our timestamps by the clock on the wall, without an offset, as the original writes them."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None).isoformat()


def _is_single(job: Job) -> bool:
    return bool(job.params.get("images", 1) == 1)


def _urls(desk: Desk, job: Job, base_url: str) -> Sequence[str]:
    return [_url(desk, job, ready, base_url) for ready in job.outputs]


def _url(desk: Desk, job: Job, ready: OutputReady, base_url: str) -> str:
    """Where a result can be had: of its copy, unless there is none, or its signature does not hold any more."""
    settings = desk.services.settings
    holds_s = settings.storage_signed_url_s
    holds = holds_s is None or seconds_between(job.started_at or job.created_at, timestamp()) < holds_s
    if ready.public_url is not None and holds:
        return ready.public_url
    base = settings.sd_api_base_url or base_url
    return f"{base.rstrip('/')}{PICTURES}/{job.id}-{ready.index}{SUFFIXES[ready.media_type]}"


def _error(job: Job) -> str:
    return CANCELLED if job.error is None else job.error.message
