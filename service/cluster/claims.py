"""From work that was delivered to a claim: how the job stands, and whether a lost worker had it."""

import time
from collections.abc import Mapping
from typing import Final, Protocol

import orjson
import structlog

from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.events import EventBody, JobFailed, JobRequeued
from protocol.jobs import JobStatus
from service.broker import Claim
from service.cluster.connection import Connection
from service.cluster.delivery import Delivery
from service.cluster.fact_writer import FactWriter, StoredFact
from service.cluster.next_fact import following
from service.job_rows import record_from_row, request_from_row

logger = structlog.get_logger(__name__)

_LOST: Final = "the worker was lost while the job was running"


class Others(Protocol):
    """What is known of the other workers."""

    async def holds(self, worker_id: str, job_id: str) -> bool:
        """Whether a worker is alive and at a job.

        Raises:
            Unavailable: it cannot be said.
        """
        ...


class Claims:
    """See the module. For the event loop only.

    Args:
        lost_s: who is silent for so long has lost its jobs.
        max_attempts: a job whose workers were lost so often is failed.
    """

    def __init__(
        self, connection: Connection, writer: FactWriter, others: Others, *, lost_s: float, max_attempts: int
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._others = others
        self._lost_s = lost_s
        self._max_attempts = max_attempts

    async def ready(self, delivery: Delivery) -> StoredFact | None:
        """The last fact of a job that waits; None if it does not, or not for us. One whose worker is lost waits again.

        Raises:
            Fenced: somebody else has told more of it meanwhile.
        """
        last = await self._writer.last(delivery.job_id)
        if last is None or last.message.state.status.is_terminal:
            await delivery.done()
            return None
        state = last.message.state
        if state.status is JobStatus.RUNNING:
            if not await self._is_lost(state.worker, delivery.job_id):
                await delivery.hand_back(self._lost_s / 2)
                return None
            if state.crashes + 1 >= self._max_attempts:
                message = f"{_LOST}, {self._max_attempts} times; it is not tried again"
                failed = JobFailed(error=ErrorBody(code=ErrorCode.ATTEMPTS_EXHAUSTED, message=message))
                await self._add(last, failed, is_crash=True)
                await delivery.done()
                return None
            last = await self._add(last, JobRequeued(attempt=state.attempt + 1, reason=_LOST), is_crash=True)
            logger.warning("job.taken_over", job_id=delivery.job_id, worker=state.worker, attempt=state.attempt + 1)
        return last

    async def _is_lost(self, worker_id: str | None, job_id: str) -> bool:
        """Whether a job's worker has fallen silent. Not while NATS itself was away: then all were."""
        since = self._connection.connected_since
        if since is None or time.monotonic() - since < self._lost_s:
            return False
        return worker_id is None or not await self._others.holds(worker_id, job_id)

    async def of(self, last: StoredFact) -> tuple[Claim | None, Mapping[str, str]]:
        """A claim of a job that waits, and its labels; None if it cannot be read, which fails it."""
        first = await self._writer.first(last.message.job_id)
        if first is None:
            return None, {}
        row, state = first.message.rows["job"], last.message.state
        record = record_from_row(row, 0, state.outputs)
        record.status, record.seq, record.attempt = state.status, state.seq, state.attempt
        record.crashes, record.started_at = state.crashes, state.started_at
        record.inputs = orjson.loads(row["inputs"])
        try:
            return Claim(record, request_from_row(row), record.inputs), orjson.loads(row["labels"])
        except ProtocolError as error:
            # Accepted by a version of this program that knew other parameters.
            await self._add(last, JobFailed(error=error.body()))
            return None, {}

    async def _add(self, last: StoredFact, body: EventBody, *, is_crash: bool = False) -> StoredFact:
        message = following(last.message, body, is_crash=is_crash)
        place = await self._writer.append(message, after=last.sequence, within_s=self._lost_s)
        return StoredFact(message, place, "")
