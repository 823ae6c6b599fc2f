"""Takes the facts and notes of a cluster's stream into the database and the memory of a gateway, in order."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, JobQueued, JobStarted
from protocol.jobs import IllegalTransition, JobStatus
from service.bus import Bus
from service.cluster.envelope import FactMessage, Note, RemovedNote, WebhookNote, note_from
from service.cluster.follower import Taken
from service.database import StoreUnavailable
from service.job_rows import record_from_row
from service.ledger import Ledger
from service.projection import Projection
from service.records import JobRecord, apply
from service.store import Batch, Store

logger = structlog.get_logger(__name__)

_RETRY_AFTER_S: Final = 0.5
_NEEDED_COLUMNS: Final = frozenset(
    {
        "id",
        "key_id",
        "task",
        "priority",
        "previews",
        "params",
        "labels",
        "webhook",
        "inputs",
        "input_pixels",
        "created_at",
    }
)
_LATER_COLUMNS: Final = {"given": None}
"""Of a job's row: what those who accepted it did not know when they were of an older version, and their stream has."""


class StreamProjection:
    """See the module. For the event loop only.

    Args:
        on_removed: takes a job away that is gone from the cluster; the facts before it are stored and told by then.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        bus: Bus,
        projection: Projection,
        arrivals: Iterator[int],
        on_removed: Callable[[RemovedNote], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._bus = bus
        self._projection = projection
        self._on_removed = on_removed
        self._arrivals = arrivals
        self.is_healthy = True
        """Whether the database takes what comes."""
        self.position = 0
        """The number of the last message whose facts are stored, and told."""

    async def load(self, enqueue: Callable[[JobRecord], None]) -> None:
        """Take the jobs into memory that have not ended, as the database knows them.

        Args:
            enqueue: given those that wait.
        """
        self.position = await self._store.position()
        outputs = await self._store.outputs_of_active_jobs()
        for row in await self._store.active_jobs():
            record = record_from_row(row, next(self._arrivals), outputs.get(row["id"], 0))
            self._ledger.add(record)
            if record.status is JobStatus.RUNNING:
                self._ledger.running[record.id] = record
                for fact in await self._store.facts(record.id, 0):
                    if isinstance(fact.body, JobStarted):
                        record.worker = fact.body.worker
            else:
                enqueue(record)

    async def take_in(self, taken: Sequence[Taken]) -> None:
        """Store what these messages add up to, then tell of it. What was taken in before changes nothing."""
        batch, told = Batch(), list[tuple[Event, JobRecord]]()
        before = self.position
        for message in taken:
            if message.number <= before:
                continue
            _, kind, what, *_ = (*message.subject.split("."), "")
            try:
                if kind == "facts":
                    self._add(FactMessage.from_bytes(message.data), message.number, batch, told)
                else:
                    note = note_from(what, message.data)
                    if batch:  # taken in by then, and not again should this process end here
                        batch.position = before
                        await self._commit(batch, told)
                        batch, told = Batch(), []
                    await self._heed(note)
            except ProtocolError as error:
                # Of a newer version of this program: this gateway cannot tell of it, but of all the rest.
                logger.error("stream.unreadable", number=message.number, subject=message.subject, reason=str(error))
            before = message.number
        if before > self.position:
            batch.position = before
            await self._commit(batch, told)

    def _add(self, message: FactMessage, number: int, batch: Batch, told: list[tuple[Event, JobRecord]]) -> None:
        fact = message.event
        record = self._record(message, told)
        if record is None or fact.seq <= record.seq:
            return  # of a job that is gone, or taken in before
        event = Event(fact.body, job_id=message.job_id, seq=fact.seq, at=fact.at, cursor=self._store.cursor(number))
        try:
            apply(record, event)
        except IllegalTransition as error:
            logger.error("stream.illegal_fact", job_id=record.id, number=number, reason=str(error))
            return
        rows = dict(message.rows)
        if "job" in rows:
            rows["job"] = {**_LATER_COLUMNS, **rows["job"]}
        self._projection.apply(batch, event, record, number, rows=rows, is_crash=message.is_crash)
        told.append((event, record))

    def _record(self, message: FactMessage, told: Sequence[tuple[Event, JobRecord]]) -> JobRecord | None:
        record = self._ledger.get(message.job_id)
        if record is not None:
            return record
        for event, waiting in reversed(told):  # made in this very batch
            if event.job_id == message.job_id:
                return waiting
        if isinstance(message.event.body, JobQueued) and message.event.seq == 1 and "job" in message.rows:
            row = message.rows["job"]
            if missing := _NEEDED_COLUMNS - row.keys():
                raise ProtocolError(ErrorCode.MALFORMED, f"a job without {', '.join(sorted(missing))}")
            try:
                return record_from_row(row, next(self._arrivals))
            except (TypeError, ValueError) as error:
                raise ProtocolError(ErrorCode.MALFORMED, f"not a job: {error}") from None
        return None

    async def _commit(self, batch: Batch, told: Sequence[tuple[Event, JobRecord]]) -> None:
        seconds = await self._insist(lambda: self._store.commit(batch), len(batch.facts))
        self._projection.on_commit(seconds, len(batch.facts))
        with self._bus.cork.put_in() if len(told) > 1 else contextlib.nullcontext():
            for event, record in told:
                self._projection.publish(event, record)
        if batch.position is not None:
            self.position = batch.position

    async def _heed(self, note: Note | None) -> None:
        if isinstance(note, RemovedNote):
            removed = note
            await self._insist(lambda: self._on_removed(removed))
        elif isinstance(note, WebhookNote):
            webhook_id, given_up = note.webhook_id, note.given_up
            if given_up is None:
                await self._insist(lambda: self._store.delete_webhook(webhook_id))
            else:
                await self._insist(lambda: self._store.give_up_webhook(webhook_id, given_up))

    async def _insist(self, write: Callable[[], Awaitable[None]], facts: int = 0) -> float:
        """Write, again until the database takes it; returns how long it took in the end, in seconds."""
        while True:
            started_at = time.monotonic()
            try:
                await write()
            except StoreUnavailable:
                self.is_healthy = False
                logger.exception("store.unavailable", facts=facts)
                await asyncio.sleep(_RETRY_AFTER_S)
            else:
                self.is_healthy = True
                return time.monotonic() - started_at
