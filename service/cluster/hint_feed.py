"""Hints of running jobs, as the workers tell them by core NATS: a gateway listens to those somebody looks at."""

import asyncio
import contextlib
import time
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from protocol.codec import MSGPACK, event_from
from protocol.errors import ProtocolError
from protocol.events import Event
from protocol.jobs import JobStatus
from service.bus import Bus
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.names import Names, Verb
from service.ledger import Ledger
from service.projection import Projection
from service.records import JobRecord

logger = structlog.get_logger(__name__)

_LEASE_S: Final = 15.0
"""Whoever asks for a job is taken to look at it for so long, and to ask again."""
_LOOK_S: Final = 2.0


class HintFeed:
    """See the module. For the event loop only."""

    def __init__(self, connection: Connection, names: Names, ledger: Ledger, bus: Bus, projection: Projection) -> None:
        self._connection = connection
        self._names = names
        self._ledger = ledger
        self._bus = bus
        self._projection = projection
        self._looked_at: dict[str, float] = {}
        self._jobs: dict[str, Subscription] = {}
        self._keys: dict[str, Subscription] = {}
        self._early: dict[str, dict[str, Event]] = {}
        self._changed = asyncio.Event()

    def watch(self, job_id: str) -> None:
        """Somebody looks at this job, or asks for it."""
        is_new = job_id not in self._looked_at
        self._looked_at[job_id] = time.monotonic() + _LEASE_S
        if is_new:
            self._changed.set()

    def watch_key(self, key_id: str) -> None:
        """Somebody looks at all jobs of this key."""
        if key_id not in self._keys:
            self._changed.set()

    async def again(self) -> None:
        """After a reconnect: what was told meanwhile is asked for.

        Raises:
            Unavailable: it cannot be.
        """
        for record in list(self._ledger.running.values()):
            if record.id in self._jobs or record.key_id in self._keys:
                await self._ask(record)

    async def run(self) -> None:
        """Listen to what somebody looks at, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            self._changed.clear()
            with contextlib.suppress(Unavailable):
                await self._leave()
                await self._listen()

    def published(self, event: Event, record: JobRecord | None) -> None:
        """A listener of `service.projection`: hints that came before their fact are told now, others are over."""
        if record is None or not event.is_fact:
            return
        if event.is_terminal:
            self._early.pop(record.id, None)
            self._looked_at.pop(record.id, None)
        elif waiting := self._early.pop(record.id, None):
            for hint in sorted(waiting.values(), key=lambda hint: hint.n or 0):
                self._take(hint, record)

    # ---- whom to listen to -----------------------------------------------------------------------------------

    async def _leave(self) -> None:
        now = time.monotonic()
        for job_id in self._bus.watched_jobs():
            if job_id in self._ledger:
                self._looked_at[job_id] = now + _LEASE_S
        for job_id in [each for each, until in self._looked_at.items() if until < now or each not in self._ledger]:
            del self._looked_at[job_id]
        watched_keys = set(self._bus.watched_keys())
        for listened, wanted in ((self._jobs, self._looked_at.keys()), (self._keys, watched_keys)):
            for name in [each for each in listened if each not in wanted]:
                with asking("hints"):
                    await listened.pop(name).unsubscribe()

    async def _listen(self) -> None:
        for key_id in set(self._bus.watched_keys()) - self._keys.keys():
            self._keys[key_id] = await self._subscribe(self._names.hints_of_key(key_id))
            for running in [each for each in self._ledger.running.values() if each.key_id == key_id]:
                await self._ask(running)
        for job_id in self._looked_at.keys() - self._jobs.keys():
            record = self._ledger.get(job_id)
            if record is not None and record.key_id not in self._keys:  # else it is heard already
                self._jobs[job_id] = await self._subscribe(self._names.hints_of_job(job_id))
                await self._ask(record)

    async def _subscribe(self, subject: str) -> Subscription:
        with asking("hints"):
            return await self._connection.nats.subscribe(subject, cb=self._arrived)

    async def _ask(self, record: JobRecord) -> None:
        """Have the newest hints of a running job told again: those before we listened have gone by."""
        if record.worker is not None and record.status is JobStatus.RUNNING:
            with asking("hints"):
                await self._connection.nats.publish(self._names.tell(record.worker, Verb.SHOW), record.id.encode())

    # ---- what they tell --------------------------------------------------------------------------------------

    async def _arrived(self, message: Msg) -> None:
        try:
            event = event_from(MSGPACK.decode(message.data))
        except ProtocolError as error:
            logger.debug("hint.unreadable", subject=message.subject, reason=str(error))
            return
        event.frames[MSGPACK.name] = message.data
        record = self._ledger.get(event.job_id or "")
        if record is not None and event.n is not None:
            self._take(event, record)

    def _take(self, event: Event, record: JobRecord) -> None:
        if event.seq > _told(record):  # its fact is on the way through the stream, and is told first
            self._early.setdefault(record.id, {})[event.type] = event
        elif (
            record.status is JobStatus.RUNNING
            and event.attempt == record.attempt
            and (event.n or 0) > record.n  # a newer one than was told: we may have asked for what we had
        ):
            record.n = event.n or 0
            self._projection.publish(event, record)


def _told(record: JobRecord) -> int:
    """The last fact that was told: the record itself may be ahead of it while facts are being stored."""
    return record.facts[-1].seq if record.facts else record.facts_after
