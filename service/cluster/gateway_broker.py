"""The broker of a gateway: what it takes in goes into the streams, for the workers and for all gateways."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from protocol.events import Event, JobCancelled
from protocol.jobs import JobStatus
from service.broker import Earlier
from service.clock import timestamp
from service.cluster.cancels import Cancels
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.envelope import FactMessage, JobState
from service.cluster.fact_writer import FactWriter, Fenced
from service.cluster.follower import Follower
from service.cluster.hint_feed import HintFeed
from service.cluster.idempotency import Idempotency
from service.cluster.names import Names, Verb, token
from service.cluster.next_fact import add_fact, following
from service.cluster.stream_log import WRITE_S
from service.cluster.turnstile import Turnstile
from service.cluster.work_place import WorkPlace, WorkPlaces
from service.cluster.work_publisher import WorkPublisher
from service.drafts import Draft
from service.ledger import Ledger
from service.records import JobRecord, apply
from service.store import Store

logger = structlog.get_logger(__name__)

_OTHER_GATEWAY_S: Final = 3.0
"""A job that an idempotency key was noted for is accepted within so long, or its gateway has gone away."""
_RETRY_S: Final = 0.5
_UNSEEN_JOBS: Final = 256
"""All gateways together accept no more in the time a fact takes from one to the others."""
_NOT_ACCEPTED: Final = "it was not accepted: NATS was away while it was being stored"


class GatewayBroker:
    """Implements `service.broker.Taker`. For the event loop only."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        *,
        writer: FactWriter,
        work: WorkPublisher,
        places: WorkPlaces,
        turnstile: Turnstile,
        cancels: Cancels,
        idempotency: Idempotency,
        follower: Follower,
        hints: HintFeed,
        ledger: Ledger,
        store: Store,
    ) -> None:
        self._connection = connection
        self._names = names
        self._writer = writer
        self._work = work
        self._places = places
        self._turnstile = turnstile
        self._cancels = cancels
        self._idempotency = idempotency
        self._follower = follower
        self._hints = hints
        self._ledger = ledger
        self._store = store
        self._unfinished: set[asyncio.Task[None]] = set()

    # ---- idempotency keys ------------------------------------------------------------------------------------

    async def reserve(self, key_id: str, idempotency_key: str, body_sha256: str, job_id: str) -> Earlier | None:
        while True:
            noted = await self._idempotency.claim(key_id, idempotency_key, body_sha256, job_id)
            if noted is None:
                return None
            if noted.digest != body_sha256:  # nobody waits for it
                return Earlier(noted.job_id, noted.digest)
            is_made = await self._is_made(noted.job_id)
            # Its gateway may be taking it back, having told a client that it could not be stored: one of us is first.
            if await self._idempotency.confirm(key_id, idempotency_key, noted.job_id):
                return Earlier(noted.job_id, noted.digest, is_made=is_made)

    async def _is_made(self, job_id: str) -> bool:
        """Whether a job is there, and known here; one that is being accepted elsewhere is waited for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OTHER_GATEWAY_S):
                while (last := await self._writer.last(job_id)) is None:
                    if await self._store.knows_job(job_id):
                        return True
                    await asyncio.sleep(_RETRY_S / 5)
                await self._follower.reaches(last.sequence)
                return True
        return False

    async def release(self, key_id: str, idempotency_key: str, job_id: str) -> None:
        await self._idempotency.release(key_id, idempotency_key, job_id)

    # ---- places in the queue ---------------------------------------------------------------------------------

    @property
    def unseen_jobs(self) -> int:
        return _UNSEEN_JOBS

    @asynccontextmanager
    async def alone(self, key_id: str | None) -> AsyncIterator[None]:
        async with self._turnstile.through(f"places-{token(key_id)}" if key_id is not None else "places"):
            await self._follower.catch_up()
            yield

    # ---- submitting ------------------------------------------------------------------------------------------

    async def submit(self, draft: Draft, *notes: Draft) -> None:
        record = draft.record
        assert record is not None
        assert draft.body is not None
        event = Event(draft.body, job_id=record.id, seq=1, at=timestamp())
        apply(record, event)
        message = FactMessage(
            event=event, key_id=record.key_id, attempt=record.attempt, state=JobState.of(record), rows=draft.rows
        )
        try:
            sequence = await self._writer.append(message, after=0, within_s=WRITE_S)
        except Unavailable:
            self._go_on(self._undo(record.id, draft.rows.get("idempotency")), record.id)
            raise
        except Fenced as fenced:  # another gateway has just accepted it, with the same idempotency key
            if fenced.last is not None:
                await self._seen(fenced.last.sequence)
            return
        place = self._places.of(draft.rows["job"])
        finishing = self._go_on(self._finish(message, sequence, notes, place), record.id)
        await asyncio.wait([finishing], timeout=WRITE_S)
        await self._seen(sequence)

    async def settle(self, timeout_s: float) -> None:
        """Wait until what was accepted is in its row, or what was not is undone."""
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=timeout_s)

    def _go_on(self, work: Coroutine[Any, Any, None], job_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"submit of {job_id}")
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return task

    async def _finish(self, message: FactMessage, sequence: int, notes: Sequence[Draft], place: WorkPlace) -> None:
        """Tell the notes, then let the job be claimed, however long NATS is away."""
        for note in notes:
            assert note.body is not None
            message = following(message, note.body)
            try:
                sequence = await self._writer.append(message, after=sequence)
            except Fenced:  # it was found without work, and has begun
                break
        while True:
            try:
                await self._work.add(message.job_id, place.row, model=place.model)
            except Unavailable as error:
                logger.warning("work.not_added", job_id=message.job_id, reason=str(error))
                await asyncio.sleep(_RETRY_S)
                await self._connection.until_connected()
            else:
                return

    async def _undo(self, job_id: str, idempotency: Mapping[str, Any] | None) -> None:
        """A client was told that a job was not accepted: if it was stored after all, it must not run.

        Unless the client has repeated it, with its idempotency key, and was told of this job then.
        """
        while True:
            try:
                await self._connection.until_connected()
                if idempotency is not None and not await self._idempotency.release(
                    idempotency["key_id"], idempotency["idempotency_key"], job_id
                ):
                    return
                await add_fact(
                    self._writer,
                    job_id,
                    lambda state: JobCancelled(reason=_NOT_ACCEPTED) if state.status is JobStatus.QUEUED else None,
                )
            except Unavailable:
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _seen(self, sequence: int) -> None:
        """Wait until this gateway has taken a fact in: its clients ask for what they were told of."""
        try:
            async with asyncio.timeout(WRITE_S):
                await self._follower.reaches(sequence)
        except TimeoutError:
            logger.warning("gateway.behind", sequence=sequence, position=self._follower.position)

    # ---- asking of jobs --------------------------------------------------------------------------------------

    async def cancel(self, record: JobRecord, reason: str) -> None:
        if record.status is JobStatus.QUEUED:
            last = await add_fact(
                self._writer,
                record.id,
                lambda state: JobCancelled(reason=reason) if state.status is JobStatus.QUEUED else None,
                within_s=WRITE_S,
            )
            if last is None or last.message.state.status.is_terminal:
                with contextlib.suppress(Unavailable):
                    await self._work.withdraw(record.id)  # else a worker finds that it has ended
                if last is not None:
                    await self._seen(last.sequence)
                return
        await self._cancels.ask(record.id, reason)
        record.cancel_requested = True

    def skip(self, job_id: str) -> None:
        record = self._ledger.get(job_id)
        if record is not None and record.worker is not None:
            self._go_on(self._tell(record.worker, Verb.SKIP, job_id), job_id)

    async def _tell(self, worker: str, verb: Verb, job_id: str) -> None:
        with contextlib.suppress(Unavailable), asking(verb):
            await self._connection.nats.publish(self._names.tell(worker, verb), job_id.encode())

    # ---- watching --------------------------------------------------------------------------------------------

    async def replay(self, job_id: str, after: int) -> list[Event]:
        return await self._store.facts(job_id, after)

    def watch(self, record: JobRecord) -> None:
        self._hints.watch(record.id)

    def watch_key(self, key_id: str) -> None:
        self._hints.watch_key(key_id)
