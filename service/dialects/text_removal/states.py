"""What a task is to its clients: our job, in the words of the text-removal service.

A state is made from a job, and goes on with the events of that job. It never goes back: not the status, and within
what one connection sees neither the progress.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    OutputReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import Job, JobStatus
from service.clock import seconds_between, timestamp

DIALECT_LABEL: Final = "text_removal"
"""On every job of this dialect, as `dialect`; the id its client knows a task by is `foreign_id`."""

_INPAINTING_FROM: Final = 15.0
_INPAINTING_TO: Final = 90.0


class TaskStatus(StrEnum):
    """Where a task stands; the last three are for good."""

    PENDING = "pending"
    PREPARING = "preparing"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in {TaskStatus.COMPLETED, TaskStatus.ERROR, TaskStatus.CANCELLED}


class Stage(StrEnum):
    """What is being done. `masking` (5 to 15 %) is over in a moment here, and never seen."""

    PREPARING = "preparing"
    MASKING = "masking"
    INPAINTING = "inpainting"
    FINALIZING = "finalizing"


STATUS_WORDS: Final[Mapping[JobStatus, TaskStatus]] = {
    JobStatus.QUEUED: TaskStatus.PENDING,
    JobStatus.RUNNING: TaskStatus.PREPARING,
    JobStatus.SUCCEEDED: TaskStatus.COMPLETED,
    JobStatus.FAILED: TaskStatus.ERROR,
    JobStatus.CANCELLED: TaskStatus.CANCELLED,
}
"""Total. A running job is `processing` once it has told of a step, and so is one that waits to be tried again."""

_COMPLETED: Final = "Task completed successfully"
_CANCELLED: Final = "Task cancelled by user"
_AGAIN: Final = "Interrupted; waiting to be tried again"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """One task at one moment.

    Attributes:
        share: of the work that is done, 0..1.
        regions: how many there are.
        eta_s: seconds it may still take, where that can be told.
        error: why it failed.
    """

    task_id: str
    job_id: str
    status: TaskStatus
    stage: Stage
    share: float
    regions: int
    message: str
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    eta_s: float | None = None
    error: str | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """A job as it is now; it has the label `foreign_id`."""
        status, stage = STATUS_WORDS[job.status], Stage.PREPARING
        share = job.progress or 0.0
        if not status.is_final and (job.progress is not None or job.attempt > 1):
            status = TaskStatus.PROCESSING
        if share > 0 or (status.is_final and job.started_at is not None):
            stage = Stage.INPAINTING
        if job.outputs or status is TaskStatus.COMPLETED:
            stage, share = Stage.FINALIZING, 1.0
        regions = job.params.get("regions")
        return cls(
            task_id=job.labels["foreign_id"],
            job_id=job.id,
            status=status,
            stage=stage,
            share=share,
            regions=len(regions) if isinstance(regions, list | tuple) else 0,
            message=_message(job, status),
            created_at=job.created_at,
            started_at=job.started_at,
            completed_at=job.finished_at,
            eta_s=job.eta_s,
            error=job.error.message if job.error is not None else None,
        )

    def after(self, event: Event) -> Self:
        """The same task after the next event of its job."""
        if self.status.is_final:
            return self
        match event.body:
            case QueueMoved(position=position, eta_s=eta_s) if self.status is TaskStatus.PENDING:
                return replace(self, message=f"Waiting for {position} other jobs", eta_s=eta_s)
            case JobStarted():
                status = TaskStatus.PREPARING if self.status is TaskStatus.PENDING else self.status
                started_at = self.started_at or event.at
                return replace(self, status=status, message="Task started", started_at=started_at, eta_s=None)
            case StepFinished(progress=progress, eta_s=eta_s):
                moved = replace(self, status=TaskStatus.PROCESSING, share=max(self.share, progress), eta_s=eta_s)
                if self.stage is Stage.FINALIZING:
                    return moved
                moved = replace(moved, stage=Stage.INPAINTING)
                return replace(moved, message=f"Removing text: {moved.current_region} of {moved.regions} regions done")
            case OutputReady():
                processing = TaskStatus.PROCESSING
                return replace(self, status=processing, stage=Stage.FINALIZING, share=1.0, message="Result stored")
            case JobRequeued():
                return replace(self, status=TaskStatus.PROCESSING, message=_AGAIN, eta_s=None)
            case JobSucceeded():
                ended = replace(self, status=TaskStatus.COMPLETED, stage=Stage.FINALIZING, share=1.0)
                return replace(ended, message=_COMPLETED, completed_at=event.at, eta_s=None)
            case JobFailed(error=error):
                ended = replace(self, status=TaskStatus.ERROR, error=error.message, completed_at=event.at, eta_s=None)
                return replace(ended, message=f"Task failed: {error.message}")
            case JobCancelled():
                cancelled = TaskStatus.CANCELLED
                return replace(self, status=cancelled, message=_CANCELLED, completed_at=event.at, eta_s=None)
        return self

    @property
    def overall_progress(self) -> float:
        """Per cent of the whole."""
        if self.status is TaskStatus.COMPLETED:
            return 100.0
        if self.stage is Stage.PREPARING:
            return 0.0
        if self.stage is Stage.FINALIZING:
            return _INPAINTING_TO
        return round(_INPAINTING_FROM + (_INPAINTING_TO - _INPAINTING_FROM) * self.share, 1)

    @property
    def stage_progress(self) -> float:
        """Per cent of the stage."""
        if self.status is TaskStatus.COMPLETED:
            return 100.0
        return round(100 * self.share, 1) if self.stage is Stage.INPAINTING else 0.0

    @property
    def current_region(self) -> int:
        """How many regions are done, as far as the share of the work tells."""
        return min(self.regions, int(self.share * self.regions))

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began to run, until now or its end."""
        return seconds_between(self.started_at, self.completed_at or timestamp()) if self.started_at else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds it may still take; None if nobody knows."""
        return 0 if self.status is TaskStatus.COMPLETED else self.eta_s


def iso(moment: str | None) -> str | None:
    """One of our timestamps as the original writes them: UTC with its offset, not with a Z."""
    return None if moment is None else moment.removesuffix("Z") + "+00:00"


def _message(job: Job, status: TaskStatus) -> str:
    if status is TaskStatus.ERROR:
        return f"Task failed: {job.error.message}" if job.error is not None else "Task failed"
    if job.cancel_requested and not status.is_final:
        return "Cancelling"
    if job.status is JobStatus.QUEUED and job.attempt > 1:
        return _AGAIN
    return _MESSAGES[status]


_MESSAGES: Final[Mapping[TaskStatus, str]] = {
    TaskStatus.PENDING: "Task queued",
    TaskStatus.PREPARING: "Task started",
    TaskStatus.PROCESSING: "Removing text",
    TaskStatus.COMPLETED: _COMPLETED,
    TaskStatus.ERROR: "Task failed",
    TaskStatus.CANCELLED: _CANCELLED,
}
