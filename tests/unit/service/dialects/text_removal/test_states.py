import itertools
from typing import Any

import pytest

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import (
    Event,
    EventBody,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    OutputReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import Job, JobStatus
from protocol.requests import Previews, Priority, TaskName
from service.dialects.text_removal.states import STATUS_WORDS, Stage, TaskState, TaskStatus, iso

AT = "2026-01-01T00:00:00.000Z"
LATER = "2026-01-01T00:00:02.500Z"
READY = OutputReady(index=0, url="u", media_type="image/png", size_bytes=1, sha256="s")
STARTED = JobStarted(worker="w", device="d", attempt=1)
FAILED = ErrorBody(code=ErrorCode.STEP_FAILED, message="it broke")


def job(status: JobStatus = JobStatus.QUEUED, **about: Any) -> Job:
    given: dict[str, Any] = {
        "id": "j",
        "task": TaskName.ERASE,
        "seq": 1,
        "attempt": 1,
        "priority": Priority.NORMAL,
        "previews": Previews.NONE,
        "params": {"regions": [{}] * 4},
        "labels": {"foreign_id": "a"},
        "created_at": AT,
    }
    return Job(status=status, **given | about)


def event(body: EventBody, at: str = AT) -> Event:
    return Event(body, job_id="j", seq=1, at=at)


def step(progress: float, eta_s: float | None = None) -> StepFinished:
    return StepFinished(image=0, step=1, steps=4, progress=progress, eta_s=eta_s)


def test_every_status_of_a_job_has_a_word() -> None:
    assert set(STATUS_WORDS) == set(JobStatus)


@pytest.mark.parametrize(
    ("given", "status", "stage", "overall"),
    [
        (job(), TaskStatus.PENDING, Stage.PREPARING, 0.0),
        (job(JobStatus.RUNNING), TaskStatus.PREPARING, Stage.PREPARING, 0.0),
        (job(JobStatus.RUNNING, progress=0.5), TaskStatus.PROCESSING, Stage.INPAINTING, 52.5),
        (job(JobStatus.RUNNING, progress=0.9, outputs=(READY,)), TaskStatus.PROCESSING, Stage.FINALIZING, 90.0),
        (job(JobStatus.QUEUED, attempt=2), TaskStatus.PROCESSING, Stage.PREPARING, 0.0),
        (job(JobStatus.RUNNING, attempt=2), TaskStatus.PROCESSING, Stage.PREPARING, 0.0),
        (job(JobStatus.SUCCEEDED, started_at=AT), TaskStatus.COMPLETED, Stage.FINALIZING, 100.0),
        (job(JobStatus.FAILED, started_at=AT, error=FAILED), TaskStatus.ERROR, Stage.INPAINTING, 15.0),
        (job(JobStatus.CANCELLED), TaskStatus.CANCELLED, Stage.PREPARING, 0.0),
    ],
)
def test_a_job_in_the_words_of_the_service(given: Job, status: TaskStatus, stage: Stage, overall: float) -> None:
    state = TaskState.of(given)
    assert (state.status, state.stage, state.overall_progress) == (status, stage, overall)
    assert state.regions == 4


def test_a_task_follows_the_events_of_its_job() -> None:
    state = TaskState.of(job())
    told = []
    for body in (
        QueueMoved(position=2, eta_s=9.0),
        JobStarted(worker="w", device="d", attempt=1),
        step(0.5, 3.0),
        READY,
    ):
        state = state.after(event(body))
        told.append((state.status.value, state.overall_progress, state.current_region, state.remaining_s))
    state = state.after(event(JobSucceeded(duration_s=1.0), LATER))
    assert told == [
        ("pending", 0.0, 0, 9.0),
        ("preparing", 0.0, 0, None),
        ("processing", 52.5, 2, 3.0),
        ("processing", 90.0, 4, 3.0),
    ]
    assert (state.status, state.overall_progress, state.remaining_s) == (TaskStatus.COMPLETED, 100.0, 0)
    assert state.elapsed_s == 2.5


@pytest.mark.parametrize(
    "body", [JobQueued(task=TaskName.ERASE, priority=Priority.NORMAL), JobWarning(code="c", message="m")]
)
def test_events_that_change_nothing_are_not_told_of(body: EventBody) -> None:
    state = TaskState.of(job())
    assert state.after(event(body)) == state


@pytest.mark.parametrize("end", [JobSucceeded(duration_s=1.0), JobFailed(error=FAILED), JobCancelled(reason="r")])
def test_nothing_comes_after_the_end(end: EventBody) -> None:
    ended = TaskState.of(job(JobStatus.RUNNING, started_at=AT)).after(event(end))
    assert ended.status.is_final
    for late in (step(0.1), JobStarted(worker="w", device="d", attempt=2), JobCancelled(reason="r"), READY):
        assert ended.after(event(late)) == ended


def test_a_task_that_is_tried_again_goes_on_where_it_was() -> None:
    state = TaskState.of(job(JobStatus.RUNNING, started_at=AT)).after(event(step(0.5)))
    for body in (JobRequeued(attempt=2, reason="r"), JobStarted(worker="w", device="d", attempt=2), step(0.25)):
        state = state.after(event(body))
        assert (state.status, state.overall_progress) == (TaskStatus.PROCESSING, 52.5)


def test_whatever_happens_statuses_never_go_back() -> None:
    rank = {TaskStatus.PENDING: 0, TaskStatus.PREPARING: 1, TaskStatus.PROCESSING: 2}
    bodies: tuple[EventBody, ...] = (
        QueueMoved(position=1),
        JobStarted(worker="w", device="d", attempt=1),
        step(0.5),
        step(0.1),
        READY,
        JobRequeued(attempt=2, reason="r"),
        JobFailed(error=FAILED),
        JobSucceeded(duration_s=1.0),
    )
    for order in itertools.permutations(bodies, 5):
        before = TaskState.of(job())
        for body in order:
            after = before.after(event(body))
            assert rank.get(after.status, 3) >= rank.get(before.status, 3)
            assert after.overall_progress >= before.overall_progress
            before = after


def test_times_are_written_with_their_offset() -> None:
    assert iso(AT) == "2026-01-01T00:00:00.000+00:00"
    assert iso(None) is None
