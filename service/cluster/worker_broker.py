"""The broker of a worker: claims work from the stream, and tells what becomes of it, each fact fenced by the last.

A job is claimed by its `job.started`, which the engine tells and which is stored only if no other fact has come
between. Until the job ends it is beaten: the work at NATS and the list of jobs in our presence. Whoever falls silent
loses its jobs to others; what it tells afterwards is refused, and it lets them go.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import structlog

from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.events import (
    FACTS,
    SERVER_HINTS,
    Event,
    EventBody,
    JobCancelled,
    JobFailed,
    JobRequeued,
)
from service.broker import Claim, Fits
from service.clock import timestamp
from service.cluster.claims import Claims
from service.cluster.connection import Connection, Unavailable
from service.cluster.delivery import Delivery
from service.cluster.envelope import FactMessage, JobState
from service.cluster.fact_writer import FactWriter, Fenced
from service.cluster.held_job import HeldJob, is_end
from service.cluster.hint_teller import HintTeller
from service.cluster.names import Row, WorkClass
from service.cluster.work_queue import WorkQueue
from service.drafts import Draft
from service.errors import ServiceError
from service.files import Files
from service.ledger import Ledger
from service.records import JobRecord, apply

logger = structlog.get_logger(__name__)

_WAIT_S: Final = 5.0
_NO_ROOM_S: Final = 1.0
_POLITE_S: Final = 0.02
"""While no more work waits than can be done at once, a worker with jobs lets those with fewer go first: it waits this
long for each it has."""


class CancelAsked(Protocol):
    """What is known of asked cancels."""

    async def asked(self, job_id: str) -> str | None:
        """Why a job is to be cancelled; None if it is not.

        Raises:
            Unavailable: it cannot be said.
        """
        ...


class WorkerBroker:
    """Implements `service.broker.Doer`. For the event loop only.

    Args:
        most_live: jobs of each kind, interactive and batch.
        serves: whether this worker has what the jobs of a row need.
        is_warm: whether what they need is in memory.
        models: tokens of the models this worker has; of workers that have the same, one is woken for each job.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        writer: FactWriter,
        queue: WorkQueue,
        claims: Claims,
        cancels: CancelAsked,
        hints: HintTeller,
        ledger: Ledger,
        files: Files,
        most_live: int,
        serves: Callable[[Row], bool],
        is_warm: Callable[[Row], bool],
        models: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._queue = queue
        self._claims = claims
        self._cancels = cancels
        self._hints = hints
        self._ledger = ledger
        self._files = files
        self._most_live = most_live
        self._serves = serves
        self._is_warm = is_warm
        self._models = models
        self._held: dict[str, HeldJob] = {}
        self._ending: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._full: set[bool] = set()
        self._is_backlog = False
        self._is_paused = False
        self._waiting: asyncio.Task[Delivery | None] | None = None
        self._resumed = asyncio.Event()
        self.is_able: Callable[[], bool] = lambda: True
        """Whether the engine can take jobs at all."""
        self.on_cancel: Callable[[str, str], None] = lambda _job_id, _reason: None
        """Called with a job of ours that is to end, and why."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when we have claimed a job, or have one less."""
        self.on_told: Callable[[Event, JobRecord], None] = lambda _event, _record: None
        """Called with each event of a job of ours that was told."""
        self.on_server_hint: Callable[[EventBody], None] = lambda _body: None
        """Called with what is no event of a job."""

    @property
    def jobs(self) -> tuple[str, ...]:
        """Those that are ours."""
        return tuple(self._held)

    # ---- claiming --------------------------------------------------------------------------------------------

    async def claim(self, fits: Fits) -> Claim:
        while True:
            while self._is_paused or not self.is_able():
                self._resumed.clear()
                await self._resumed.wait()
            if self._held and not self._is_backlog:
                await self._let_others_go_first()
            try:
                delivery = await self._next()
                self._is_backlog = delivery is not None and delivery.more_pending > 0
                claim = await self._open(delivery, fits) if delivery is not None else None
            except Unavailable as error:
                logger.debug("work.unavailable", reason=str(error))
                await asyncio.sleep(_NO_ROOM_S)
                await self._connection.until_connected()
                continue
            if claim is not None:
                return claim

    async def _let_others_go_first(self) -> None:
        """Wait as long as we have to be polite; no longer than we have jobs, or we would stand idle."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLITE_S * len(self._held)):
                while self._held:
                    self._resumed.clear()
                    await self._resumed.wait()

    def wake(self) -> None:
        self._full.clear()
        self._resumed.set()

    def pause(self) -> None:
        self._is_paused = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def _next(self) -> Delivery | None:
        """The next work there is; None if there was none for a while."""
        if all(self._is_full(is_batch=is_batch) for is_batch in (False, True)):
            self._resumed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_NO_ROOM_S):
                    await self._resumed.wait()
            return None
        self._waiting = asyncio.create_task(
            self._queue.next(self._serves, self._is_warm, self._wants, _WAIT_S, models=self._models())
        )
        try:
            return await self._waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            if task.cancelling():  # not `pause`: whoever claims is to end, perhaps while `pause` was at it too
                raise
            return None
        finally:
            self._waiting = None

    def _wants(self, work_class: WorkClass) -> bool:
        return not self._is_full(is_batch=work_class is not WorkClass.INTERACTIVE)

    def _is_full(self, *, is_batch: bool) -> bool:
        live = sum(held.record.is_interactive is not is_batch for held in self._held.values())
        return is_batch in self._full or live >= self._most_live

    async def _open(self, delivery: Delivery, fits: Fits) -> Claim | None:
        """Make a claim of work that was delivered; None if there is nothing to do, or not for us."""
        job_id = delivery.job_id
        if (held := self._held.get(job_id)) is not None:
            held.delivery = delivery  # NATS has not heard of us in time, but nobody else has taken it
            await delivery.beat()
            return None
        if job_id in self._ending:  # the engine has not let go of it since we lost it
            await delivery.hand_back(_NO_ROOM_S)
            return None
        try:
            last = await self._claims.ready(delivery)
            if last is None:
                return None
            claim, labels = await self._claims.of(last)
        except Fenced:  # somebody was faster; what stands there now is looked at when it is delivered again
            await delivery.hand_back(_NO_ROOM_S)
            return None
        if claim is None:
            await delivery.done()
            return None
        if self._is_paused or not fits(claim):
            self._full.add(not claim.record.is_interactive)
            await delivery.hand_back(0 if self._is_paused else _NO_ROOM_S)
            return None
        held = HeldJob(claim.record, delivery, last.sequence, labels)
        self._hold(held)
        return claim if await self._is_wanted(held) and await self._has_inputs(claim, held) else None

    async def _is_wanted(self, held: HeldJob) -> bool:
        """Whether nobody has asked to cancel a job; one that was asked for is cancelled.

        Only a job that has run can have been asked for, see `service.cluster.gateway_broker`; what is asked for from
        now on we are told.
        """
        if held.attempt == 1:
            return True
        try:
            reason = await self._cancels.asked(held.record.id)
        except Unavailable:
            self._let_go(held)
            raise
        if reason is not None:
            held.tell(Draft(JobCancelled(reason=reason), held.record.id, held.attempt))
        return reason is None

    async def _has_inputs(self, claim: Claim, held: HeldJob) -> bool:
        """Have the pictures of a job here; if they cannot be had, it is failed or handed back."""
        folder = self._files.inputs(claim.record.id) if claim.inputs else None
        try:
            for name in claim.inputs.values():
                assert folder is not None
                path = await self._files.bring(folder / name)
                if not path.exists():
                    gone = ErrorBody(code=ErrorCode.INTERNAL, message=f"the picture {name} is gone")
                    held.tell(Draft(JobFailed(error=gone), claim.record.id, held.attempt))
                    return False
        except ServiceError as error:
            logger.warning("inputs.not_there", job_id=claim.record.id, reason=error.message)
            self._let_go(held)
            await held.delivery.hand_back(_NO_ROOM_S)
            return False
        return True

    def _hold(self, held: HeldJob) -> None:
        self._held[held.record.id] = held
        self._ledger.add(held.record)
        task = asyncio.create_task(self._tell_all(held), name=f"telling of {held.record.id}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        self.on_change()

    def cancel(self, job_id: str, reason: str) -> None:
        """A job is to end, if it is ours."""
        if job_id in self._held:
            self.on_cancel(job_id, reason)

    # ---- beating ---------------------------------------------------------------------------------------------

    async def beat(self) -> None:
        for held in list(self._held.values()):
            with contextlib.suppress(Unavailable):
                await held.delivery.beat()

    # ---- telling ---------------------------------------------------------------------------------------------

    def publish(self, drafts: Iterable[Draft]) -> None:
        for draft in drafts:
            if draft.job_id is None or isinstance(draft.body, SERVER_HINTS):
                if draft.body is not None:
                    self.on_server_hint(draft.body)
                continue
            if is_end(draft.body):
                self._ending.discard(draft.job_id)
            held = self._held.get(draft.job_id)
            if held is not None and held.attempt == draft.attempt:
                held.tell(draft)

    async def idle(self) -> None:
        """Wait until nothing is ours any more."""
        while self._telling:
            await asyncio.wait(self._telling)

    async def labels(self, job_id: str) -> Mapping[str, str] | None:
        """The labels of a job of ours; None for any other."""
        held = self._held.get(job_id)
        return held.labels if held is not None else None

    async def settled(self) -> None:
        for held in list(self._held.values()):
            await held.settled()

    async def close(self) -> None:
        """Hand back what is still ours: it was claimed and has not begun, or its end could not be told."""
        for held in list(self._held.values()):
            self._let_go(held)
            with contextlib.suppress(Unavailable):
                await held.delivery.hand_back()
        for task in self._telling:
            task.cancel()

    async def _tell_all(self, held: HeldJob) -> None:
        """Tell what happens to a job, in order, until it is no longer ours."""
        while (draft := await held.next()) is not None:
            try:
                await self._tell(held, draft)
            except Fenced as fenced:
                logger.warning("job.lost", job_id=held.record.id, attempt=held.attempt, reason=str(fenced))
                self._lose(held)
                return
            except ProtocolError as error:  # too large for NATS: so is nothing but what a task knows of an output
                if not held.has_ended:
                    self._ending.add(held.record.id)
                    self.on_cancel(held.record.id, str(error))
                held.tell_instead(replace(draft, body=JobFailed(error=error.body())))
                continue
            held.told(draft)

    async def _tell(self, held: HeldJob, draft: Draft) -> None:
        record, body = held.record, draft.body
        assert body is not None
        # What a fact makes of the job becomes true when it is stored: one that is too large is not.
        after = replace(record) if isinstance(body, FACTS) else record
        event = self._ledger.stamp(after, body, draft.attempt, timestamp(), None)
        if event is None:
            if is_end(body):  # it is to be handed back, and has not begun
                self._let_go(held)
                with contextlib.suppress(Unavailable):
                    await held.delivery.hand_back()
            return
        if not isinstance(body, FACTS):
            self._ledger.remember(record, event)
            await self._hints.tell(event, record.key_id)
            self.on_told(event, record)
            return
        message = FactMessage(
            event=event, key_id=record.key_id, attempt=held.attempt, state=JobState.of(after, worker=after.worker)
        )
        held.sequence = await self._writer.append(message, after=held.sequence)
        apply(record, event)
        self._ledger.remember(record, event)
        self.on_told(event, record)
        if is_end(body):
            self._let_go(held)
            with contextlib.suppress(Unavailable):  # else it is delivered again, to whoever sees how it stands
                await (held.delivery.hand_back() if isinstance(body, JobRequeued) else held.delivery.done())

    def _lose(self, held: HeldJob) -> None:
        """The job is somebody else's: our engine is to stop, and what it tells is dropped."""
        self._let_go(held)
        if not held.has_ended:
            self._ending.add(held.record.id)
            self.on_cancel(held.record.id, "another worker has it")

    def _let_go(self, held: HeldJob) -> None:
        self._held.pop(held.record.id, None)
        held.leave()
        self._ledger.remove(held.record.id)
        self._hints.forget(held.record.id)
        self.on_change()
        self._resumed.set()
