"""The broker of a server that is everything in one process: jobs wait in memory, and the store has them all."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Final

import orjson

from protocol.errors import ProtocolError
from protocol.events import Event, JobCancelled, JobFailed
from service.admission import Admission, Waiting
from service.broker import Claim, Earlier, FactLog, Fits
from service.clock import now, timestamp
from service.drafts import Draft
from service.job_rows import request_from_row
from service.ledger import Ledger
from service.records import JobRecord
from service.store import Store

_ANSWERS_FIRST: Final = 4
"""Turns of the event loop before a job is given away: the engine's threads would take the interpreter from the answer
to the submit, and from the first event."""


class LocalBroker:
    """Both ends of `service.broker`, `Taker` and `Doer`, in this process. For the event loop only."""

    def __init__(
        self, admission: Admission, ledger: Ledger, store: Store, log: FactLog, *, idempotency_ttl_s: float = 86_400.0
    ) -> None:
        self._idempotency_ttl_s = idempotency_ttl_s
        self._admission = admission
        self._ledger = ledger
        self._store = store
        self._log = log
        self._wake = asyncio.Event()
        self._is_looking = False
        self._is_paused = False
        self._missing: str | None = None
        self.on_cancel: Callable[[str, str], None] = lambda _job_id, _reason: None
        """Called with a running job that is to end, and why."""
        self.on_skip: Callable[[str], None] = lambda _job_id: None
        """Called with a running job that is to leave out the image it is at."""

    # ---- taking jobs in --------------------------------------------------------------------------------------

    async def reserve(self, key_id: str, idempotency_key: str, _body_sha256: str, _job_id: str) -> Earlier | None:
        since = timestamp(now() - timedelta(seconds=self._idempotency_ttl_s))
        row = await self._store.idempotent_job(key_id, idempotency_key, since)
        return None if row is None else Earlier(row["job_id"], row["body_sha256"])

    async def release(self, key_id: str, idempotency_key: str, job_id: str) -> None:
        """It is noted with the job, and not before."""

    @property
    def unseen_jobs(self) -> int:
        """Nobody else accepts jobs."""
        return 0

    def alone(self, key_id: str | None) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - it is so for every key
        return nullcontext()

    async def submit(self, draft: Draft, *notes: Draft) -> None:
        await self._log.put_and_wait(draft, *notes)

    async def cancel(self, record: JobRecord, reason: str) -> None:
        record.cancel_requested = True
        if self._admission.remove(record.id):
            await self._log.put_and_wait(Draft(JobCancelled(reason=reason), record.id, record.attempt))
        else:
            # Remembered first: should the server end before the job does, the job must not start again.
            await self._log.put_and_wait(Draft(None, record.id))
            self.on_cancel(record.id, reason)

    def skip(self, job_id: str) -> None:
        self.on_skip(job_id)

    async def replay(self, job_id: str, after: int) -> list[Event]:
        return await self._store.facts(job_id, after)

    def watch(self, record: JobRecord) -> None:
        """Hints are told whoever looks: they cost no more than a call."""

    def watch_key(self, key_id: str) -> None:
        """Likewise."""

    # ---- doing them ------------------------------------------------------------------------------------------

    async def claim(self, fits: Fits) -> Claim:
        while True:
            if not self._is_looking:
                await self._wake.wait()
                for _ in range(_ANSWERS_FIRST):
                    await asyncio.sleep(0)
                self._wake.clear()
                self._is_looking = True
            if not self._is_paused:
                if (claim := self._take(fits)) is not None:
                    return claim
                if self._missing is not None:
                    await self._load(self._missing)
                    continue
            self._is_looking = False

    def wake(self) -> None:
        self._wake.set()

    def pause(self) -> None:
        self._is_paused = True

    async def beat(self) -> None:
        """Nobody could take over; what a process that is gone was at, the next one finds in its store."""

    def publish(self, drafts: Iterable[Draft]) -> None:
        self._log.put(drafts)

    async def settled(self) -> None:
        await self._log.drained()

    def _take(self, fits: Fits) -> Claim | None:
        """The next job there is room for. `_missing` is left to say whose request has to be read first."""
        self._missing = None
        claims: list[Claim] = []

        def is_to_be_taken(waiting: Waiting) -> bool:
            record = self._ledger.get(waiting.job_id)
            if record is None:
                return True  # it has ended in the meantime, and is passed over
            if record.request is None:
                self._missing = record.id
                return False
            claim = Claim(record, record.request, record.inputs)
            if not fits(claim):
                return False
            claims.append(claim)
            return True

        while self._admission.take(is_to_be_taken) is not None:
            if claims:
                claim = claims.pop()
                claim.record.request = None
                return claim
        return None

    async def _load(self, job_id: str) -> None:
        row = await self._store.row(job_id)
        record = self._ledger.get(job_id)
        if row is None or record is None:
            self._admission.remove(job_id)
            return
        try:
            record.request = request_from_row(row)
            record.inputs = orjson.loads(row["inputs"])
        except ProtocolError as error:
            # Accepted by a version of this program that knew other parameters: it fails alone, or nothing would start.
            self._admission.remove(job_id)
            self._log.put([Draft(JobFailed(error=error.body()), job_id, record.attempt)])
