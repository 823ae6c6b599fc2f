"""The next fact of a job, from the last one that is stored: for whoever does not have the job in memory."""

from collections.abc import Callable
from typing import Final, TypeAlias

from protocol.events import Event, EventBody
from protocol.jobs import IllegalTransition
from protocol.requests import Previews, Priority, TaskName
from service.clock import timestamp
from service.cluster.envelope import FactMessage, JobState
from service.cluster.fact_writer import FactWriter, Fenced, StoredFact
from service.records import JobRecord, apply

NextBody: TypeAlias = Callable[[JobState], EventBody | None]
"""What is to follow on a state of the job; None for nothing any more."""

_ANY_TASK: Final = TaskName.TEST_PATTERN


def following(message: FactMessage, body: EventBody, *, is_crash: bool = False) -> FactMessage:
    """The fact `body`, right behind another one of the same job.

    Raises:
        IllegalTransition: it cannot follow there.
    """
    record = record_of(message.job_id, message.key_id, message.state)
    event = Event(body, job_id=message.job_id, seq=message.state.seq + 1, at=timestamp())
    apply(record, event)
    if is_crash:
        record.crashes += 1
    return FactMessage(
        event=event,
        key_id=message.key_id,
        attempt=record.attempt,
        state=JobState.of(record, worker=record.worker),
        is_crash=is_crash,
    )


def record_of(job_id: str, key_id: str, state: JobState) -> JobRecord:
    """A record of what the facts of a job add up to, and of nothing that only its row says."""
    return JobRecord(
        id=job_id,
        key_id=key_id,
        task=_ANY_TASK,
        is_interactive=False,
        priority=Priority.NORMAL,
        previews=Previews.NONE,
        input_pixels=0,
        created_at=state.started_at or "",
        arrival=0,
        status=state.status,
        seq=state.seq,
        attempt=state.attempt,
        crashes=state.crashes,
        outputs=state.outputs,
        started_at=state.started_at,
        worker=state.worker,
        facts_after=state.seq,
    )


async def add_fact(
    writer: FactWriter, job_id: str, next_body: NextBody, *, is_crash: bool = False, within_s: float | None = None
) -> StoredFact | None:
    """Add to the facts of a job what follows on whatever is the last one by then.

    Args:
        within_s: for each write; None waits for NATS as long as it takes.

    Returns:
        The last fact of the job then; None if it has none.

    Raises:
        Unavailable: the time is over, or the job cannot be read.
        ProtocolError: `too_large`.
    """
    last = await writer.last(job_id)
    while last is not None:
        body = next_body(last.message.state)
        if body is None:
            return last
        try:
            message = following(last.message, body, is_crash=is_crash)
        except IllegalTransition:
            return last
        try:
            place = await writer.append(message, after=last.sequence, within_s=within_s)
        except Fenced as fenced:
            last = fenced.last
        else:
            return StoredFact(message, place, "")
    return None
