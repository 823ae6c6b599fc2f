"""A job that has not ended, as the service keeps it in memory; and `apply`, what a fact does to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.errors import ErrorBody
from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    OutputReady,
    OutputSkipped,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import JobStatus, transition
from protocol.requests import JobRequest, Previews, Priority, TaskName, Webhook


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """One accepted job until its end has been published.

    `status`, `seq`, `attempt` and the times are what the stamped facts add up to, which is a moment ahead of what is
    stored and published. `facts` holds what has been published since `facts_after`.
    """

    id: str
    key_id: str
    task: TaskName
    is_interactive: bool
    priority: Priority
    previews: Previews
    input_pixels: int
    created_at: str
    arrival: int
    request: JobRequest | None = None
    """Dropped while very many wait; the dispatcher reads it back from the store."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    status: JobStatus | None = None
    seq: int = 0
    attempt: int = 1
    crashes: int = 0
    outputs: int = 0
    worker: str | None = None
    """Who has it, while it runs."""
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    error: ErrorBody | None = None
    cancel_requested: bool = False
    n: int = 0
    facts: list[Event] = field(default_factory=list)
    facts_after: int = 0
    """Facts up to this seq are in the store only."""
    hints: dict[str, Event] = field(default_factory=dict)
    """Event type -> the latest hint."""

    @property
    def progress(self) -> float | None:
        hint = self.hints.get(StepFinished.TYPE)
        return hint.body.progress if hint is not None and isinstance(hint.body, StepFinished) else None

    @property
    def position(self) -> int | None:
        hint = self.hints.get(QueueMoved.TYPE)
        return hint.body.position if hint is not None and isinstance(hint.body, QueueMoved) else None

    @property
    def eta_s(self) -> float | None:
        kind = QueueMoved if self.status is JobStatus.QUEUED else StepFinished
        hint = self.hints.get(kind.TYPE)
        return hint.body.eta_s if hint is not None and isinstance(hint.body, QueueMoved | StepFinished) else None

    @property
    def preview(self) -> PreviewReady | None:
        hint = self.hints.get(PreviewReady.TYPE)
        return hint.body if hint is not None and isinstance(hint.body, PreviewReady) else None


def apply(record: JobRecord, event: Event) -> None:
    """What a fact does to its job. The one place a status changes, live, on replay and in a cluster alike.

    Raises:
        IllegalTransition: the table of transitions has no such arrow; the record is unchanged.
    """
    body = event.body
    match body:
        case JobQueued():
            record.status = transition(record.status, JobStatus.QUEUED)
        case JobStarted():
            record.status = transition(record.status, JobStatus.RUNNING)
            record.started_at = record.started_at or event.at
            record.worker = body.worker
        case JobRequeued():
            record.status = transition(record.status, JobStatus.QUEUED)
            record.attempt = body.attempt
            record.n = 0
        case OutputReady() | OutputSkipped():
            record.outputs = max(record.outputs, body.index + 1)
        case JobSucceeded():
            record.status = transition(record.status, JobStatus.SUCCEEDED)
        case JobFailed():
            record.status = transition(record.status, JobStatus.FAILED)
            record.error = body.error
        case JobCancelled():
            record.status = transition(record.status, JobStatus.CANCELLED)
        case _:
            pass
    record.seq = event.seq
    if record.status is not None and record.status.is_terminal:
        record.finished_at = event.at
