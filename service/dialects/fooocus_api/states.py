"""What a job of ours is to clients of Fooocus-API: its stage, its progress, its results.

The words are those of version 0.5 or of 0.4, as the setting `fooocus_api_version` says.
"""

import base64
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import anyio.to_thread

from protocol.events import OutputReady, StepFinished
from protocol.jobs import Job, JobStatus
from service.auth import Key
from service.conversion import converted, converted_bytes
from service.dialect_settings import FooocusApiVersion
from service.dialects.base import Desk
from service.dialects.fooocus.file_names import path_of
from service.dialects.fooocus.progress import progress_of

DIALECT_LABEL: Final = "fooocus_api"
"""On every job of this dialect, as `dialect`."""
_PREVIEW_SHARE: Final = 4
_PREPARED: Final = {FooocusApiVersion.V0_5: 6, FooocusApiVersion.V0_4: 13}


class JobType(StrEnum):
    """The kinds of jobs."""

    TEXT_TO_IMAGE = "Text to Image"
    UPSCALE_VARY = "Image Upscale or Variation"
    INPAINT_OUTPAINT = "Image Inpaint or Outpaint"
    IMAGE_PROMPT = "Image Prompt"
    ENHANCEMENT = "Image Enhancement"
    NOT_FOUND = "Not Found"


class Stage(StrEnum):
    """Where a job stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


class FinishReason(StrEnum):
    """How a picture, or a job, came to its end."""

    SUCCESS = "SUCCESS"
    QUEUE_IS_FULL = "QUEUE_IS_FULL"
    USER_CANCEL = "USER_CANCEL"
    ERROR = "ERROR"


FINISH_REASONS: Final[Mapping[JobStatus, FinishReason]] = {
    JobStatus.SUCCEEDED: FinishReason.SUCCESS,
    JobStatus.CANCELLED: FinishReason.USER_CANCEL,
    JobStatus.FAILED: FinishReason.ERROR,
}
_STAGES: Final[Mapping[FooocusApiVersion, Mapping[JobStatus, Stage]]] = {
    version: {
        JobStatus.QUEUED: Stage.WAITING,
        JobStatus.RUNNING: Stage.RUNNING,
        JobStatus.SUCCEEDED: Stage.SUCCESS,
        JobStatus.FAILED: Stage.ERROR,
        JobStatus.CANCELLED: stage,
    }
    for version, stage in ((FooocusApiVersion.V0_5, Stage.SUCCESS), (FooocusApiVersion.V0_4, Stage.ERROR))
}
"""Total. The newer version takes a job that was stopped for one that made fewer pictures."""


def result(
    reason: FinishReason, *, url: str | None = None, seed: str = "", content: str | None = None
) -> dict[str, Any]:
    """One item of a list of results."""
    return {"base64": content, "url": url, "seed": seed, "finish_reason": reason.value}


def url_of(desk: Desk, job: Job, index: int, base_url: str | None = None) -> str:
    """Where an output can be had.

    Args:
        base_url: of the server as its client calls it; by default as the one who submitted the job called it.
    """
    base = desk.services.settings.fooocus_base_url or base_url or job.labels.get("base_url", "")
    return f"{base.rstrip('/')}/files/{path_of(job, index)}"


async def results(desk: Desk, job: Job, base_url: str) -> list[dict[str, Any]]:
    """The pictures of a job so far; with their contents, if its client wanted them."""
    made = []
    for ready in job.outputs:
        content = await _content(desk, job, ready) if "base64" in job.labels else None
        made.append(
            result(
                FinishReason.SUCCESS,
                url=url_of(desk, job, ready.index, base_url),
                seed=seed_of(ready),
                content=content,
            )
        )
    return made


def seed_of(ready: OutputReady) -> str:
    """The seed of a picture; a text, for numbers of that size lose digits in JavaScript."""
    return "0" if ready.seed is None else str(ready.seed)


async def job_object(
    desk: Desk, job: Job, key: Key, base_url: str, *, step: StepFinished | None = None, wants_preview: bool = False
) -> dict[str, Any]:
    """A job as its client is told of it.

    Args:
        step: its newest, taken before the job was read: what is newer than the job would seem to go back later.
    """
    version = desk.services.settings.fooocus_api_version
    stage = _STAGES[version][job.status]
    progress = progress_of(job, step, prepared=_PREPARED[version], has_model=_has_model(desk, job))
    made = None
    if stage is Stage.SUCCESS or (job.status.is_terminal and job.outputs and version is FooocusApiVersion.V0_5):
        made = await results(desk, job, base_url)
    return {
        "job_id": job.id,
        "job_type": job.labels.get("job_type", JobType.TEXT_TO_IMAGE),
        "job_stage": stage.value,
        "job_progress": progress.percent,
        "job_status": progress.text,
        "job_step_preview": await _preview(desk, job, key) if wants_preview else None,
        "job_result": made,
    }


def no_job(kind: JobType, *, status: str | None, made: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """What stands for a job where there is none."""
    return {
        "job_id": "",
        "job_type": kind.value,
        "job_stage": Stage.ERROR.value,
        "job_progress": 0,
        "job_status": status,
        "job_step_preview": None,
        "job_result": None if made is None else list(made),
    }


NOT_FOUND: Final = no_job(JobType.NOT_FOUND, status="Job not found")


def _has_model(desk: Desk, job: Job) -> bool:
    """Whether the model of a job is in memory, as far as its name tells; any will do for one that names none."""
    resident = desk.services.engine.resident_models()
    name = job.params.get("model")
    if not isinstance(name, str):
        return bool(resident)
    return f"checkpoint:{name}" in resident or name in resident


async def _content(desk: Desk, job: Job, ready: OutputReady) -> str | None:
    """A picture within JSON: a data URL of its file; in version 0.4 always a PNG, and nothing around it."""
    path = (await desk.file(job, ready.index)).path
    try:
        if desk.services.settings.fooocus_api_version is FooocusApiVersion.V0_5:
            content = await anyio.to_thread.run_sync(path.read_bytes)
            return f"data:{ready.media_type};base64,{base64.b64encode(content).decode()}"
        if ready.media_type == "image/png":
            content = await anyio.to_thread.run_sync(path.read_bytes)
        else:
            content = await anyio.to_thread.run_sync(converted, path, "image/png")
    except FileNotFoundError:
        return None
    return base64.b64encode(content).decode()


async def _preview(desk: Desk, job: Job, key: Key) -> str | None:
    """The newest preview, a PNG; of a job that has ended, its last picture made small."""
    shown = desk.services.jobs.preview(job.id, key)
    try:
        if shown is not None:
            content = await anyio.to_thread.run_sync(converted_bytes, shown[0], "image/png")
        elif job.status.is_terminal and job.outputs:
            last = job.outputs[-1]
            longest_px = max(1, max(last.width or 1, last.height or 1) // _PREVIEW_SHARE)
            path = (await desk.file(job, last.index)).path
            content = await anyio.to_thread.run_sync(lambda: converted(path, "image/png", longest_px=longest_px))
        else:
            return None
    except FileNotFoundError:
        return None
    return base64.b64encode(content).decode()
