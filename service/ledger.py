"""The jobs that have not ended, in memory, and the numbering of what happens to them.

Between the engine and the store stands `stamp`: it gives an event its seq or its n, and refuses what must not become
true, such as the word of an attempt that is no longer the current one, or anything after the end.
"""

from collections.abc import Iterator

import structlog

from protocol.events import (
    FACTS,
    Event,
    EventBody,
    JobRequeued,
    JobStarted,
    QueueMoved,
)
from protocol.jobs import IllegalTransition, JobStatus
from service.clock import seconds_between
from service.records import JobRecord, apply

logger = structlog.get_logger(__name__)


class Ledger:
    """Records by job id, from acceptance to the publishing of the end. For the event loop only.

    Args:
        numbers_by_clock: hints are numbered by the milliseconds since their job was accepted, where that is more than
            the last number: so they rise from one machine to the next.
    """

    def __init__(self, *, numbers_by_clock: bool = False) -> None:
        self._numbers_by_clock = numbers_by_clock
        self._records: dict[str, JobRecord] = {}
        self.running: dict[str, JobRecord] = {}
        """Those that are live in the engine."""
        self._server_n = 0

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._records

    def __iter__(self) -> Iterator[JobRecord]:
        return iter(self._records.values())

    def get(self, job_id: str) -> JobRecord | None:
        return self._records.get(job_id)

    def add(self, record: JobRecord) -> None:
        self._records[record.id] = record

    def remove(self, job_id: str) -> None:
        self._records.pop(job_id, None)
        self.running.pop(job_id, None)

    def stamp_server(self, body: EventBody, at: str) -> Event:
        self._server_n += 1
        return Event(body, at=at, n=self._server_n)

    def stamp(self, record: JobRecord, body: EventBody, attempt: int, at: str, cursor: str | None) -> Event | None:
        """Number an event of `record`'s job and, if it is a fact, apply it.

        Args:
            attempt: of whoever tells it.
            cursor: for a fact; unused for a hint.

        Returns:
            None if it is refused.
        """
        if attempt != record.attempt or (record.status is not None and record.status.is_terminal):
            logger.debug("event.refused", job_id=record.id, event_type=body.TYPE, attempt=attempt, status=record.status)
            return None
        if isinstance(body, FACTS):
            event = Event(body, job_id=record.id, seq=record.seq + 1, at=at, cursor=cursor)
            try:
                apply(record, event)
            except IllegalTransition as error:
                logger.warning("event.refused", job_id=record.id, event_type=body.TYPE, reason=str(error))
                return None
            return event
        if isinstance(body, QueueMoved) and record.status is not JobStatus.QUEUED:
            return None
        record.n += 1
        if self._numbers_by_clock:
            record.n = max(record.n, int(seconds_between(record.created_at, at) * 1000))
        return Event(body, job_id=record.id, seq=record.seq, at=at, attempt=record.attempt, n=record.n)

    def remember(self, record: JobRecord, event: Event) -> None:
        """Keep what was published, for those who subscribe later."""
        if event.is_fact:
            record.facts.append(event)
            if isinstance(event.body, JobStarted):
                self.running[record.id] = record
                record.hints.pop(QueueMoved.TYPE, None)
            elif isinstance(event.body, JobRequeued):
                self.running.pop(record.id, None)
                record.hints.clear()
        else:
            record.hints[event.type] = event
