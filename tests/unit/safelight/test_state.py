from protocol.errors import ErrorBody, ErrorCode
from protocol.events import (
    Event,
    EventBody,
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
from protocol.requests import Previews, Priority, TaskName
from safelight.state import follow


def job(seq: int = 1) -> Job:
    return Job(
        id="j", task=TaskName.UPSCALE, status=JobStatus.QUEUED, seq=seq, attempt=1, priority=Priority.NORMAL,
        previews=Previews.LATEST, params={}, created_at="t0",
    )  # fmt: skip


def after(start: Job, *bodies: EventBody) -> Job:
    state = start
    for seq, body in enumerate(bodies, start=2):
        state = follow(state, Event(body, job_id="j", seq=seq, at=f"t{seq}"))
    return state


def hint(body: EventBody, seq: int) -> Event:
    return Event(body, job_id="j", seq=seq, at="t", attempt=1, n=1)


STARTED = JobStarted(worker="w", device="cpu", attempt=1)
OUTPUT = OutputReady(index=0, url="/o", media_type="image/png", size_bytes=1, sha256="0")


def test_a_job_that_goes_well_succeeds_with_its_outputs() -> None:
    end = after(job(), STARTED, OUTPUT, JobSucceeded(duration_s=2.0))
    assert (end.status, end.outputs, end.progress, end.seq) == (JobStatus.SUCCEEDED, (OUTPUT,), 1.0, 4)
    assert (end.started_at, end.finished_at) == ("t2", "t4")


def test_a_job_that_fails_keeps_its_error_and_the_outputs_it_had() -> None:
    error = ErrorBody(code=ErrorCode.OUT_OF_MEMORY, message="too big")
    end = after(job(), STARTED, OUTPUT, JobFailed(error=error))
    assert (end.status, end.error, end.outputs) == (JobStatus.FAILED, error, (OUTPUT,))


def test_a_requeued_job_waits_again_in_its_next_attempt() -> None:
    state = after(job(), STARTED, JobRequeued(attempt=2, reason="stopped"))
    assert (state.status, state.attempt, state.progress) == (JobStatus.QUEUED, 2, None)


def test_a_fact_that_the_state_includes_changes_nothing() -> None:
    state = after(job(), STARTED)
    assert (
        follow(state, Event(JobQueued(task=TaskName.UPSCALE, priority=Priority.LOW), job_id="j", seq=1, at="t"))
        == state
    )


def test_hints_tell_of_the_queue_only_while_it_waits_and_of_steps_only_while_it_runs() -> None:
    moved = hint(QueueMoved(position=3), 1)
    stepped = hint(StepFinished(image=0, step=1, steps=2, progress=0.5), 2)
    assert follow(job(), moved).position == 3
    assert follow(job(), stepped).progress is None
    running = after(job(), STARTED)
    assert follow(running, moved).position is None
    assert follow(running, stepped).progress == 0.5
