"""Takes what happened, in order: stamps a batch, commits it once, then publishes it.

Facts are stored before anyone hears of them. One background task does this, so nothing overtakes anything; while it
waits for a commit the next batch gathers, and a busy server commits many facts at once.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from protocol.codec import body_text, event_text
from protocol.events import FACTS, Event, EventBody, OutputReady
from protocol.ids import new_id
from protocol.requests import WebhookEvent
from service.bus import Bus
from service.clock import now, timestamp
from service.database import StoreUnavailable
from service.ledger import Ledger
from service.records import JobRecord
from service.store import Batch, Store

logger = structlog.get_logger(__name__)

_MOST_PER_BATCH: Final = 2000
_RETRY_AFTER_S: Final = 0.5


@dataclass(slots=True)
class Draft:
    """Something that happened, not yet numbered, stored or told.

    Attributes:
        record: of a new job, for its first facts; others are found by `job_id`.
        rows: what a new job puts into the store beside its facts: `job`, and perhaps `idempotency` and `foreign`.
        is_crash: this requeueing follows the end of a server, which counts against the job.
        done: resolved with the event once it is published, with None if it was refused.
    """

    body: EventBody | None
    job_id: str | None
    attempt: int = 1
    record: JobRecord | None = None
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_crash: bool = False
    done: asyncio.Future[Event | None] | None = None

    @property
    def makes_job(self) -> bool:
        return "job" in self.rows


class Listener(Protocol):
    """Hears of every published event after the subscribers; for the service's own book-keeping."""

    def published(self, event: Event, record: JobRecord | None) -> None: ...


class Pump:
    """The one writer of facts.

    Args:
        job_ttl_s: an ended job expires this long after its end.
    """

    def __init__(self, ledger: Ledger, store: Store, bus: Bus, *, job_ttl_s: float) -> None:
        self._ledger = ledger
        self._store = store
        self._bus = bus
        self._job_ttl_s = job_ttl_s
        self._waiting: list[Draft] = []
        self._in_hand: list[Draft] = []
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._has_ended = False
        self._cursor = 0
        self._stored_cursor = 0
        self.listeners: list[Listener] = []
        self.on_commit: Callable[[float, int], None] = lambda _seconds, _facts: None
        self.is_healthy = True

    @property
    def stored_cursor(self) -> int:
        """The number of the last fact that is certain to be in the store; later ones are published later."""
        return self._stored_cursor

    def put(self, drafts: Iterable[Draft]) -> None:
        """Take what happened; returns at once."""
        self._waiting.extend(drafts)
        if self._has_ended:
            self._give_up()
            return
        self._is_idle.clear()
        self._wake.set()

    async def put_and_wait(self, draft: Draft, *after: Draft) -> Event | None:
        """Take one thing that happened and wait until it is stored and published.

        Args:
            after: what comes right after it.

        Returns:
            None if it was refused: it contradicts what is already known.

        Raises:
            StoreUnavailable: it could not be stored, and has not happened.
        """
        draft.done = asyncio.get_running_loop().create_future()
        self.put([draft, *after])
        return await draft.done  # the caller's going away does not undo what is being stored

    def tell(self, event: Event, key_id: str) -> None:
        """Publish a hint of a job that is no longer in the ledger.

        Args:
            key_id: whose job it was.
        """
        self._bus.publish(event, key_id)
        for listener in self.listeners:
            listener.published(event, None)

    async def drained(self) -> None:
        """Wait until everything taken so far is published."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Work until cancelled. Started, and waited for, by the server's task group."""
        try:
            self._cursor = self._stored_cursor = await self._store.last_cursor()
            while True:
                await self._something_to_do()
                self._wake.clear()
                while self._waiting:
                    self._in_hand, self._waiting = self._waiting[:_MOST_PER_BATCH], self._waiting[_MOST_PER_BATCH:]
                    await self._process(self._in_hand)
                self._in_hand = []
                self._is_idle.set()
        finally:
            self._has_ended = True
            self._give_up()

    def _give_up(self) -> None:
        """Nothing more is stored: those who wait for it are told so, and nobody waits for ever."""
        for draft in (*self._in_hand, *self._waiting):
            if draft.done is not None and not draft.done.done():
                draft.done.set_exception(StoreUnavailable("the server has stopped storing"))
        self._waiting.clear()
        self._is_idle.set()

    async def _something_to_do(self) -> None:
        """Wait for it; while the store cannot be written, look now and then whether it can be again.

        Otherwise a server that says it is not ready, and so is sent nothing, would never find out.
        """
        while not self._wake.is_set():
            if self.is_healthy:
                await self._wake.wait()
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _RETRY_AFTER_S)
                return
            with contextlib.suppress(StoreUnavailable):
                await self._store.probe()
                self.is_healthy = True

    async def _process(self, drafts: Sequence[Draft]) -> None:
        batch, stamped = Batch(), []
        at = timestamp()
        for draft in drafts:
            event, record = self._stamp(draft, at, batch)
            stamped.append((draft, event, record))
        if batch:
            stamped = await self._commit(batch, stamped)
        self._stored_cursor = self._cursor
        with self._bus.cork.put_in() if len(stamped) > 1 else contextlib.nullcontext():
            for draft, event, record in stamped:
                if event is not None:
                    self._publish(event, record)
                if draft.done is not None and not draft.done.done():
                    draft.done.set_result(event)

    def _stamp(self, draft: Draft, at: str, batch: Batch) -> tuple[Event | None, JobRecord | None]:
        if draft.job_id is None:
            assert draft.body is not None
            return self._ledger.stamp_server(draft.body, at), None
        record = draft.record or self._ledger.get(draft.job_id)
        if record is None:
            return None, None
        if draft.body is None:  # no event: the asking for a cancel is to be remembered
            batch.cancels.append(record.id)
            return None, record
        is_fact = isinstance(draft.body, FACTS)
        cursor = self._store.cursor(self._cursor + 1) if is_fact else None
        event = self._ledger.stamp(record, draft.body, draft.attempt, at, cursor)
        if event is None or not is_fact:
            return event, record
        self._cursor += 1
        if draft.is_crash:
            record.crashes += 1
        if event.is_terminal:
            record.expires_at = timestamp(now(), plus_s=self._job_ttl_s)
        batch.facts.append((event, self._cursor, record.key_id))
        if draft.makes_job:
            batch.new_jobs.append(draft.rows["job"])
            if "idempotency" in draft.rows:
                batch.idempotency.append(draft.rows["idempotency"])
            if "foreign" in draft.rows:
                batch.foreign_requests.append(draft.rows["foreign"])
        else:
            batch.changed[record.id] = record
        if isinstance(event.body, OutputReady):
            data = body_text(event).decode()
            batch.outputs.append({"job_id": record.id, "number": event.body.index, "data": data})
        if record.webhook is not None and WebhookEvent(event.type) in record.webhook.events:
            batch.webhooks.append(
                {
                    "id": f"msg_{new_id()}",
                    "job_id": record.id,
                    "url": str(record.webhook.url),
                    "event": event_text(event).decode(),
                    "next_at": time.time(),
                }
            )
        return event, record

    async def _commit(
        self, batch: Batch, stamped: list[tuple[Draft, Event | None, JobRecord | None]]
    ) -> list[tuple[Draft, Event | None, JobRecord | None]]:
        """Commit; while that is not possible, refuse new jobs and keep the facts of accepted ones."""
        while True:
            started_at = time.monotonic()
            try:
                await self._store.commit(batch)
            except StoreUnavailable as error:
                self.is_healthy = False
                logger.exception("store.unavailable", facts=len(batch.facts))
                stamped = _refuse_new(batch, stamped, error)
                if not batch:
                    return stamped
                await asyncio.sleep(_RETRY_AFTER_S)
            else:
                self.is_healthy = True
                self.on_commit(time.monotonic() - started_at, len(batch.facts))
                return stamped

    def _publish(self, event: Event, record: JobRecord | None) -> None:
        if record is not None:
            if event.is_fact and event.seq == 1:
                self._ledger.add(record)
            self._ledger.remember(record, event)
        self._bus.publish(event, record.key_id if record else None)
        if record is not None and event.is_terminal:
            self._ledger.remove(record.id)
        for listener in self.listeners:
            listener.published(event, record)


def _refuse_new(
    batch: Batch, stamped: list[tuple[Draft, Event | None, JobRecord | None]], error: StoreUnavailable
) -> list[tuple[Draft, Event | None, JobRecord | None]]:
    """Take new jobs out of a batch that cannot be stored, and tell those who wait for them."""
    refused = {draft.record.id for draft, _, _ in stamped if draft.makes_job and draft.record is not None}
    kept = []
    for draft, event, record in stamped:
        if draft.record is None or draft.record.id not in refused:
            kept.append((draft, event, record))
        elif draft.done is not None and not draft.done.done():
            draft.done.set_exception(error)
    batch.facts = [fact for fact in batch.facts if fact[0].job_id not in refused]
    batch.new_jobs.clear()
    batch.idempotency.clear()
    batch.foreign_requests.clear()
    batch.changed = {job_id: record for job_id, record in batch.changed.items() if job_id not in refused}
    batch.webhooks = [row for row in batch.webhooks if row["job_id"] not in refused]
    return kept
