"""Takes what happened, in order: stamps a batch, commits it once, then publishes it.

Facts are stored before anyone hears of them. One background task does this, so nothing overtakes anything; while it
waits for a commit the next batch gathers, and a busy server commits many facts at once.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from protocol.events import FACTS, Event
from service.bus import Bus
from service.clock import timestamp
from service.database import StoreUnavailable
from service.drafts import Draft
from service.ledger import Ledger
from service.projection import Projection
from service.records import JobRecord
from service.store import Batch, Store

logger = structlog.get_logger(__name__)

_MOST_PER_BATCH: Final = 2000
_RETRY_AFTER_S: Final = 0.5


class Pump:
    """The one writer of facts. Implements `service.broker.FactLog`."""

    def __init__(self, ledger: Ledger, store: Store, bus: Bus, projection: Projection) -> None:
        self._ledger = ledger
        self._store = store
        self._bus = bus
        self._projection = projection
        self._waiting: list[Draft] = []
        self._in_hand: list[Draft] = []
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._has_ended = False
        self._cursor = 0
        self._stored_cursor = 0
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

    async def current(self) -> bool:
        """There are no others."""
        return False

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
                    self._projection.publish(event, record)
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
        self._projection.apply(batch, event, record, self._cursor, rows=draft.rows, is_crash=draft.is_crash)
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
                self._projection.on_commit(time.monotonic() - started_at, len(batch.facts))
                return stamped


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
