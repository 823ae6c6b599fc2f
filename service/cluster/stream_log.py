"""The log of a gateway: facts go into the stream, and are told when they come back; hints are told at once."""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from protocol.errors import ErrorCode
from protocol.events import FACTS, Event, EventBody
from service.clock import timestamp
from service.cluster.connection import Connection, Unavailable
from service.cluster.envelope import JobState
from service.cluster.fact_writer import FactWriter, StoredFact
from service.cluster.follower import Follower
from service.cluster.next_fact import add_fact
from service.cluster.stream_projection import StreamProjection
from service.drafts import Draft
from service.errors import ServiceError
from service.ledger import Ledger
from service.projection import Projection

logger = structlog.get_logger(__name__)

WRITE_S: Final = 5.0
"""A client that waits for a fact to be stored is told after so long that it cannot be."""
_CURRENT_S: Final = 3.0


class StreamLog:
    """Implements `service.broker.FactLog`. For the event loop only."""

    def __init__(
        self,
        connection: Connection,
        writer: FactWriter,
        follower: Follower,
        streamed: StreamProjection,
        ledger: Ledger,
        projection: Projection,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._follower = follower
        self._streamed = streamed
        self._ledger = ledger
        self._projection = projection
        self._has_begun = asyncio.Event()
        self._writing: set[asyncio.Task[StoredFact | None]] = set()

    @property
    def is_healthy(self) -> bool:
        """See `service.broker.FactLog`."""
        return self._connection.is_connected and self._streamed.is_healthy

    @property
    def stored_cursor(self) -> int:
        return self._streamed.position

    def put(self, drafts: Iterable[Draft]) -> None:
        """See `service.broker.FactLog`. Facts of jobs that have changed meanwhile are not written."""
        at = timestamp()
        for draft in drafts:
            if draft.body is None:
                continue
            if draft.job_id is None:
                self._projection.publish(self._ledger.stamp_server(draft.body, at), None)
            elif isinstance(draft.body, FACTS):
                task = asyncio.create_task(self._write(draft, None), name=f"fact of {draft.job_id}")
                self._writing.add(task)
                task.add_done_callback(self._written)
            elif (record := self._ledger.get(draft.job_id)) is not None:
                event = self._ledger.stamp(record, draft.body, draft.attempt, at, None)
                if event is not None:
                    self._projection.publish(event, record)

    async def put_and_wait(self, draft: Draft, *after: Draft) -> Event | None:
        stored = await self._write(draft, WRITE_S)
        self.put(after)
        if stored is None or stored.message.event.body != draft.body:
            return None
        await self._follower.reaches(stored.sequence)
        return stored.message.event

    async def current(self) -> bool:
        try:
            async with asyncio.timeout(_CURRENT_S):
                await self._follower.catch_up()
        except (Unavailable, TimeoutError):
            message = "this gateway does not know of it yet, and cannot ask for it now"
            raise ServiceError(ErrorCode.NOT_READY, message, retry_after_s=_CURRENT_S) from None
        return True

    async def drained(self) -> None:
        while self._writing:
            await asyncio.wait(self._writing)

    def begin(self, position: int) -> None:
        """Let `run` follow the stream from behind this number."""
        self._follower.position = position
        self._has_begun.set()

    async def run(self) -> None:
        await self._has_begun.wait()
        await self._follower.run()

    async def _write(self, draft: Draft, within_s: float | None) -> StoredFact | None:
        """Write a fact behind the others of its job, if it is still at the attempt it was told of.

        Raises:
            Unavailable: the time is over.
        """
        assert draft.job_id is not None
        body = draft.body

        def next_body(state: JobState) -> EventBody | None:
            return body if state.attempt == draft.attempt and not state.status.is_terminal else None

        return await add_fact(
            self._writer,
            draft.job_id,
            next_body,
            is_crash=draft.is_crash,
            within_s=within_s,
        )

    def _written(self, task: asyncio.Task[StoredFact | None]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("fact.not_written", task=task.get_name(), reason=str(error))
