import pytest

from protocol.events import (
    Event,
    JobQueued,
    JobStarted,
    JobSucceeded,
    OutputSkipped,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import IllegalTransition, JobStatus
from protocol.requests import Priority, TaskName
from service.records import JobRecord, apply
from tests.unit.service.parts import record

AT = "2026-01-01T00:00:00.000Z"


def fact(body: object, seq: int) -> Event:
    return Event(body, at=AT, seq=seq, cursor="c")  # type: ignore[arg-type] # one of the facts


def hints(job: JobRecord, *bodies: object) -> None:
    for number, body in enumerate(bodies):
        event = Event(body, at=AT, seq=1, attempt=1, n=number + 1)  # type: ignore[arg-type] # one of the hints
        job.hints[event.type] = event


def test_a_fact_without_an_arrow_is_refused_and_changes_nothing() -> None:
    job = record()
    with pytest.raises(IllegalTransition):
        apply(job, fact(JobStarted(worker="w", device="d", attempt=1), 1))
    assert (job.status, job.seq, job.started_at) == (None, 0, None)


def test_only_the_end_sets_when_a_job_finished() -> None:
    job = record()
    apply(job, fact(JobQueued(task=TaskName.ERASE, priority=Priority.LOW), 1))
    apply(job, fact(JobStarted(worker="w", device="d", attempt=1), 2))
    assert job.finished_at is None
    apply(job, fact(JobSucceeded(duration_s=1), 3))
    assert (job.finished_at, job.seq) == (AT, 3)


def test_an_image_that_was_skipped_is_none_the_next_attempt_begins_with() -> None:
    job = record()
    apply(job, fact(JobQueued(task=TaskName.TEST_PATTERN, priority=Priority.LOW), 1))
    apply(job, fact(JobStarted(worker="w", device="d", attempt=1), 2))
    apply(job, fact(OutputSkipped(index=2), 3))
    assert job.outputs == 3


def test_what_a_job_shows_beside_its_facts_comes_from_its_latest_hints() -> None:
    job = record()
    assert (job.progress, job.position, job.eta_s, job.preview) == (None, None, None, None)
    preview = PreviewReady(image=0, step=1, width=1, height=1, media_type="image/jpeg", bytes=b"x")
    step = StepFinished(image=0, step=1, steps=4, progress=0.25, eta_s=3.0)
    hints(job, QueueMoved(position=4, eta_s=9.0), step, preview)
    job.status = JobStatus.QUEUED
    assert (job.position, job.eta_s) == (4, 9.0)
    job.status = JobStatus.RUNNING
    assert (job.progress, job.eta_s, job.preview) == (0.25, 3.0, preview)
