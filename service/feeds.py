"""Subscriptions: what was missed, then what happens, without a gap and without a repeat.

One rule for all transports. A subscription is on the bus before anything is read from the store; what is published
meanwhile is held back, and let through once the past has been told.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event, JobRequeued
from protocol.ids import made_at
from service.broker import FactLog, Taker
from service.bus import Bus
from service.ledger import Ledger
from service.model_loads import ModelLoads
from service.outlet import Outlet
from service.records import JobRecord
from service.store import Store, UnknownCursor

_PAGE: Final = 500
_NEW_S: Final = 30.0
"""A job that was made so lately may be on its way to this server."""


class JobSubscription:
    """One reader's view of one job."""

    __slots__ = ("_attempt", "_bus", "_held", "_last", "_outlet", "has_ended", "job_id", "on_end")

    def __init__(self, bus: Bus, outlet: Outlet, job_id: str, after: int) -> None:
        self.job_id = job_id
        self._bus = bus
        self._outlet = outlet
        self._last = after
        self._attempt = 1
        self._held: list[Event] | None = []
        self.has_ended = False
        """Nothing will follow."""
        self.on_end: Callable[[], None] | None = None
        """Called once the end of the job has been offered."""

    def offer(self, event: Event) -> None:
        if self._held is not None:
            self._held.append(event)
        elif event.n is not None:
            # A fact read from the store may have overtaken hints that were published before it.
            if not self.has_ended and (event.attempt or 1) >= self._attempt:
                self._outlet.offer(event)
        elif event.seq > self._last:
            self._last = event.seq
            if isinstance(event.body, JobRequeued):
                self._attempt = event.body.attempt
            self._outlet.offer(event)
            if event.is_terminal:
                self._end()

    def release(self, past: list[Event], hints: Iterable[Event]) -> None:
        """Tell the past, the latest hints and what was held back meanwhile; from now on everything at once."""
        held, self._held = self._held or [], None
        for event in (*past, *_not_in(held, hints), *held):
            self.offer(event)

    def close(self) -> None:
        self._bus.leave_job(self.job_id, self)

    def _end(self) -> None:
        self.has_ended = True
        self.close()
        if self.on_end is not None:
            self.on_end()


class KeySubscription:
    """One reader's view of all jobs of a key."""

    def __init__(self, bus: Bus, outlet: Outlet, key_id: str, cursor: str) -> None:
        self.key_id = key_id
        self.cursor = cursor
        """Where it begins."""
        self._bus = bus
        self._outlet = outlet
        self._held: list[Event] | None = []

    def offer(self, event: Event) -> None:
        if self._held is not None:
            self._held.append(event)
        else:
            self._outlet.offer(event)

    def release(self, store: Store, upto: int, hints: Iterable[Event]) -> None:
        """Tell the latest hints, then what was held back and is not part of the replay up to cursor number `upto`."""
        held, self._held = self._held or [], None
        for event in (*_not_in(held, hints), *held):
            if event.cursor is None or store.cursor_number(event.cursor) > upto:
                self._outlet.offer(event)

    def close(self) -> None:
        self._bus.leave_key(self.key_id, self)


class ServerSubscription:
    """One reader's view of the server topic."""

    def __init__(self, bus: Bus, outlet: Outlet) -> None:
        self._bus = bus
        self._outlet = outlet

    def offer(self, event: Event) -> None:
        self._outlet.offer(event)

    def close(self) -> None:
        self._bus.leave_server(self)


class Feeds:
    """Opens subscriptions."""

    def __init__(self, ledger: Ledger, store: Store, bus: Bus, log: FactLog, broker: Taker, loads: ModelLoads) -> None:
        self._loads = loads
        self._ledger = ledger
        self._store = store
        self._bus = bus
        self._log = log
        self._broker = broker

    async def follow_job(
        self, job_id: str, key_id: str | None, after: int, outlet: Outlet, *, facts_only: bool = False
    ) -> JobSubscription:
        """Subscribe to one job: facts after seq `after`, the latest hint of each type, then live events.

        Args:
            key_id: who asks; None may see all.
            facts_only: without the hints; for one who waits for the end.

        Raises:
            ProtocolError: `not_found`, or `invalid_params` if `after` lies in the job's future.
        """
        record, seq, is_over = await self._look_up(job_id, key_id, after)
        if after > seq:
            message = f"after: expected at most {seq}, the job's last seq, got {after} at $.after"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.after")
        subscription = JobSubscription(self._bus, outlet, job_id, after)
        self._bus.watch_job(job_id, subscription, facts_only=facts_only)
        if record is not None and not facts_only:
            self._broker.watch(record)
        try:
            if record is not None and after >= record.facts_after:
                past = [fact for fact in record.facts if fact.seq > after]  # no await: nothing can come between
            else:
                past = await self._broker.replay(job_id, after)
            subscription.release(past, () if record is None or facts_only else _latest_hints(record))
            if is_over:  # whatever there is has been told, even if that is nothing
                subscription.close()
                subscription.has_ended = True
        except BaseException:
            subscription.close()
            raise
        return subscription

    async def catch_up(self) -> bool:
        """Know of what other servers have stored up to now; whether there may be anything that was not known."""
        return await self._log.current()

    async def follow_key(self, key_id: str, cursor: str | None, outlet: Outlet) -> KeySubscription:
        """Subscribe to all jobs of a key: facts after `cursor`, then live events; without a cursor live ones only.

        Raises:
            ProtocolError: `cursor_expired`; start from a listing.
        """
        if cursor is not None and self._number(cursor) > self._log.stored_cursor:
            await self._log.current()  # it was told elsewhere, a moment ago
        begin = self._store.cursor(self._log.stored_cursor)
        subscription = KeySubscription(self._bus, outlet, key_id, cursor or begin)
        self._bus.watch_key(key_id, subscription)
        self._broker.watch_key(key_id)
        upto = self._store.cursor_number(begin)
        try:
            if cursor is not None and self._store.cursor_number(cursor) > upto:
                raise UnknownCursor(f"cursor {cursor!r:.60} is of facts this server has lost")
            await self._replay(key_id, cursor, upto, outlet)
        except UnknownCursor as error:
            subscription.close()
            raise ProtocolError(ErrorCode.CURSOR_EXPIRED, f"{error}; start from a listing", "$.cursor") from None
        except BaseException:
            subscription.close()
            raise
        running = (record for record in self._ledger.running.values() if record.key_id == key_id)
        subscription.release(self._store, upto, [hint for record in running for hint in _latest_hints(record)])
        return subscription

    def follow_server(self, outlet: Outlet) -> ServerSubscription:
        """Subscribe to the server topic: how far models are that are on their way, then live hints."""
        subscription = ServerSubscription(self._bus, outlet)
        for event in self._loads.events:  # no await: nothing can come between
            subscription.offer(event)
        self._bus.watch_server(subscription)
        return subscription

    async def _look_up(self, job_id: str, key_id: str | None, after: int) -> tuple[JobRecord | None, int, bool]:
        """The record of a job that has not ended, its last seq, and whether it has ended.

        Raises:
            ProtocolError: `not_found`.
        """
        found = await self._known(job_id, key_id)
        # Another gateway may have told a client more than is known here yet.
        is_behind = after > found[1] if found is not None else time.time() - made_at(job_id) < _NEW_S
        if is_behind and await self._log.current():
            found = await self._known(job_id, key_id)
        if found is None:
            raise ProtocolError(ErrorCode.NOT_FOUND, f"job {job_id:.64}: there is none, or it is not yours")
        return found

    async def _known(self, job_id: str, key_id: str | None) -> tuple[JobRecord | None, int, bool] | None:
        record = self._ledger.get(job_id)
        if record is not None and key_id in {None, record.key_id}:
            return record, record.seq, False
        job = await self._store.job(job_id, key_id)
        return None if job is None else (None, job.seq, job.status.is_terminal)

    def _number(self, cursor: str) -> int:
        """Of a cursor; 0 for one that will be refused."""
        try:
            return self._store.cursor_number(cursor)
        except UnknownCursor:
            return 0

    async def _replay(self, key_id: str, cursor: str | None, upto: int, outlet: Outlet) -> None:
        while cursor is not None:
            page = await self._store.facts_of_key(key_id, cursor, upto, _PAGE)
            for event in page:
                outlet.offer(event)
            cursor = page[-1].cursor if len(page) == _PAGE else None
            if cursor is not None:
                await outlet.room()


def _latest_hints(record: JobRecord) -> list[Event]:
    """The latest hint of each type, in the order they were told."""
    return sorted(record.hints.values(), key=lambda hint: hint.n or 0)


def _not_in(held: Sequence[Event], hints: Iterable[Event]) -> list[Event]:
    """Hints that are not told again in their place among what was held back."""
    known = set(map(id, held))
    return [hint for hint in hints if id(hint) not in known]
