"""A job as a client sees it, its status, and the table of allowed transitions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from protocol.errors import ErrorBody
from protocol.events import OutputReady
from protocol.requests import Previews, Priority, TaskName


class JobStatus(StrEnum):
    """Where a job stands. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL: Final = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})

TRANSITIONS: Final[Mapping[JobStatus | None, frozenset[JobStatus]]] = {
    None: frozenset({JobStatus.QUEUED}),
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset({JobStatus.QUEUED, *TERMINAL}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""From each status (None: not yet accepted) to those that may follow. Everything else is refused."""


class IllegalTransition(Exception):
    """A job was asked to go where the table of transitions has no arrow."""

    def __init__(self, old: JobStatus | None, new: JobStatus) -> None:
        super().__init__(f"a job cannot go from {old or 'nothing'} to {new}")


def transition(old: JobStatus | None, new: JobStatus) -> JobStatus:
    """Return `new` if the table has an arrow from `old` to it.

    Raises:
        IllegalTransition: it has none.
    """
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(old, new)
    return new


class Job(BaseModel):
    """The present state of a job; what its facts up to `seq` add up to."""

    model_config = ConfigDict(frozen=True)

    id: str
    task: TaskName
    status: JobStatus
    seq: int = Field(
        ge=1, description="Of the last fact this state includes; subscribe with after=seq to go on from here."
    )
    attempt: int = Field(ge=1)
    priority: Priority
    previews: Previews
    params: Mapping[str, Any] = Field(description="As submitted, with inline pictures shortened to their hash.")
    labels: Mapping[str, str] = Field(default_factory=dict)
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = Field(None, description="When an ended job, its inputs and outputs are removed.")
    cancel_requested: bool = False
    position: int | None = Field(None, ge=0, description="Jobs ahead of this one, while it is queued.")
    eta_s: float | None = Field(None, ge=0, description="Estimated seconds until it ends, where one can be made.")
    progress: float | None = Field(None, ge=0, le=1)
    outputs: tuple[OutputReady, ...] = ()
    error: ErrorBody | None = None


class JobPage(BaseModel):
    """One page of a listing, newest first."""

    model_config = ConfigDict(frozen=True)

    jobs: tuple[Job, ...]
    next: str | None = Field(None, description="Pass as `cursor` for the next page; absent on the last one.")
