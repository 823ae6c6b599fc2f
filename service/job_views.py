"""What the store tells of jobs where it does not tell the jobs themselves, or more than these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.jobs import Job, JobStatus


@dataclass(frozen=True, slots=True)
class ForeignIds:
    """Jobs of one status that have foreign ids: how many, and the ids if the status is none that ends a job."""

    count: int
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignJob:
    """A job of a dialect, and what its client asked for, in the dialect's words; empty if that was not kept."""

    job: Job
    asked: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When a job came, began and ended."""

    id: str
    status: JobStatus
    created_at: str
    started_at: str | None
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that has ended, as far as its removal has to tell of it."""

    id: str
    key_id: str
    seq: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many jobs have a status, and the id of the newest of them."""

    count: int
    newest: str
