"""Facts of a job as they stand in the stream, made by hand."""

from protocol.events import Event, EventBody
from protocol.jobs import JobStatus
from service.clock import timestamp
from service.cluster.envelope import FactMessage, JobState
from service.cluster.follower import Taken
from service.cluster.names import Names
from service.cluster.next_fact import following
from service.drafts import Draft
from tests.cluster.jobs import a_job


def first_fact(job: Draft) -> FactMessage:
    """That of a job that was just accepted."""
    assert job.body is not None
    assert job.job_id is not None
    assert job.record is not None
    event = Event(job.body, job_id=job.job_id, seq=1, at=timestamp())
    state = JobState(status=JobStatus.QUEUED, seq=1)
    return FactMessage(event=event, key_id=job.record.key_id, attempt=1, state=state, rows=job.rows)


def history(*bodies: EventBody, after: int = 0, job: Draft | None = None) -> list[Taken]:
    """The facts of a job, behind a number of the stream."""
    messages = [first_fact(job or a_job())]
    for body in bodies:
        messages.append(following(messages[-1], body))
    return [
        Taken(number, Names().fact(message.job_id), message.to_bytes())
        for number, message in enumerate(messages, after + 1)
    ]
