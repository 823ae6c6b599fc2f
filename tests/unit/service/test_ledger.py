"""Numbering: whatever the engine tells, in whatever order, the facts of a job add up to one story."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import (
    FACTS,
    EventBody,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    ModelLoaded,
    OutputReady,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.jobs import JobStatus
from protocol.requests import Priority, TaskName
from service.ledger import Ledger
from service.records import JobRecord
from tests.unit.service.parts import record

AT = "2026-01-01T00:00:00.000Z"
QUEUED = JobQueued(task=TaskName.TEST_PATTERN, priority=Priority.NORMAL)


def output(index: int) -> OutputReady:
    return OutputReady(index=index, url="u", media_type="image/png", size_bytes=1, sha256="0")


def requeued(attempt: int) -> JobRequeued:
    return JobRequeued(attempt=attempt, reason="x")


BODIES = st.one_of(
    st.just(QUEUED),
    st.builds(JobStarted, worker=st.just("w"), device=st.just("d"), attempt=st.integers(1, 3)),
    st.builds(requeued, st.integers(2, 4)),
    st.builds(output, st.integers(0, 3)),
    st.just(JobWarning(code="c", message="m")),
    st.just(JobSucceeded(duration_s=1)),
    st.just(JobFailed(error=ErrorBody(code=ErrorCode.STEP_FAILED, message="m"))),
    st.just(JobCancelled(reason="x")),
    st.just(QueueMoved(position=1)),
    st.just(StepFinished(image=0, step=1, steps=2, progress=0.5)),
    st.just(PreviewReady(image=0, step=1, width=1, height=1, media_type="image/jpeg", bytes=b"")),
)


@given(st.lists(st.tuples(st.integers(0, 1), BODIES, st.integers(1, 4)), max_size=40))
def test_facts_are_numbered_without_a_gap_and_end_once(told: list[tuple[int, EventBody, int]]) -> None:
    ledger = Ledger()
    jobs = [record(), record()]
    facts: dict[str, list[str]] = {job.id: [] for job in jobs}
    last_n: dict[tuple[str, int], int] = {}
    for job in jobs:
        assert ledger.stamp(job, QUEUED, 1, AT, "c") is not None
        facts[job.id].append("job.queued")
    for number, body, attempt in told:
        job = jobs[number]
        before = replace(job)
        event = ledger.stamp(job, body, attempt, AT, "c")
        if event is None:
            assert job == before, "a refused event left a trace"
            continue
        assert attempt == before.attempt, "a stale attempt was heard"
        assert before.status not in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}
        if isinstance(body, FACTS):
            facts[job.id].append(event.type)
            assert event.is_fact
            assert event.seq == job.seq == len(facts[job.id])
        else:
            assert event.seq == len(facts[job.id])
            assert event.n == last_n.get((job.id, attempt), 0) + 1
            assert event.attempt == attempt
            last_n[job.id, attempt] = event.n
    for job in jobs:
        ends = [kind for kind in facts[job.id] if kind in {"job.succeeded", "job.failed", "job.cancelled"}]
        assert ends == (facts[job.id][-1:] if job.status is not None and job.status.is_terminal else [])


def accepted(ledger: Ledger) -> JobRecord:
    job = record()
    assert ledger.stamp(job, QUEUED, 1, AT, "c") is not None
    return job


def test_a_job_goes_the_way_its_facts_say() -> None:
    ledger, job = Ledger(), record()
    story: list[tuple[EventBody, int, JobStatus]] = [
        (QUEUED, 1, JobStatus.QUEUED),
        (JobStarted(worker="w", device="d", attempt=1), 1, JobStatus.RUNNING),
        (output(0), 1, JobStatus.RUNNING),
        (requeued(2), 1, JobStatus.QUEUED),
        (JobStarted(worker="w", device="d", attempt=2), 2, JobStatus.RUNNING),
        (output(1), 2, JobStatus.RUNNING),
        (JobSucceeded(duration_s=1), 2, JobStatus.SUCCEEDED),
    ]
    for number, (body, attempt, status) in enumerate(story):
        event = ledger.stamp(job, body, attempt, f"2026-01-01T00:00:0{number}.000Z", "c")
        assert event is not None
        assert (event.seq, job.status) == (number + 1, status)
    assert (job.attempt, job.outputs) == (2, 2)
    assert job.started_at == "2026-01-01T00:00:01.000Z"
    assert job.finished_at == "2026-01-01T00:00:06.000Z"


def test_a_failure_keeps_its_error() -> None:
    ledger = Ledger()
    job = accepted(ledger)
    error = ErrorBody(code=ErrorCode.MODEL_MISSING, message="m")
    ledger.stamp(job, JobFailed(error=error), 1, AT, "c")
    assert job.error == error


def test_a_place_in_the_queue_is_told_of_waiting_jobs_only() -> None:
    ledger = Ledger()
    job = accepted(ledger)
    assert ledger.stamp(job, QueueMoved(position=1), 1, AT, None) is not None
    ledger.stamp(job, JobStarted(worker="w", device="d", attempt=1), 1, AT, "c")
    assert ledger.stamp(job, QueueMoved(position=0), 1, AT, None) is None


def test_hints_are_counted_anew_in_each_attempt() -> None:
    ledger = Ledger()
    job = accepted(ledger)
    ledger.stamp(job, JobStarted(worker="w", device="d", attempt=1), 1, AT, "c")
    step = StepFinished(image=0, step=1, steps=2, progress=0.5)
    assert [ledger.stamp(job, step, 1, AT, None).n for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
    ledger.stamp(job, requeued(2), 1, AT, "c")
    ledger.stamp(job, JobStarted(worker="w", device="d", attempt=2), 2, AT, "c")
    hint = ledger.stamp(job, step, 2, AT, None)
    assert hint is not None
    assert (hint.n, hint.attempt, hint.seq) == (1, 2, 4)


def test_hints_of_the_server_are_counted_apart() -> None:
    ledger = Ledger()
    events = [ledger.stamp_server(ModelLoaded(model="m", device="d"), AT) for _ in range(2)]
    assert [(event.n, event.job_id) for event in events] == [(1, None), (2, None)]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_job_is_in_the_ledger_until_it_is_removed(is_known: bool) -> None:
    ledger, job = Ledger(), record()
    if is_known:
        ledger.add(job)
    assert (ledger.get(job.id) is job, len(ledger), list(ledger)) == (is_known, int(is_known), [job] * is_known)
    ledger.remove(job.id)
    assert ledger.get(job.id) is None
