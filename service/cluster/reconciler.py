"""Looks for jobs that have not ended and have no work: what a gateway or a NATS that broke down left behind."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog

from protocol.jobs import JobStatus
from service.clock import seconds_between, timestamp
from service.cluster.connection import Unavailable
from service.cluster.fact_writer import FactWriter
from service.cluster.work_place import WorkPlaces
from service.cluster.work_publisher import WorkPublisher
from service.ledger import Ledger
from service.store import Store

logger = structlog.get_logger(__name__)

_SETTLED_S: Final = 5.0
"""Work follows its fact within so long, unless who was to add it has gone away."""


class Reconciler:
    """See the module; for one gateway at a time. For the event loop only."""

    def __init__(
        self, ledger: Ledger, store: Store, writer: FactWriter, work: WorkPublisher, places: WorkPlaces
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._writer = writer
        self._work = work
        self._places = places
        self.rows: Mapping[tuple[str, str], int] = {}
        """While this gateway is in charge: jobs no worker has been given yet, by class and model."""

    async def run(self, interval_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
                await self._work.clean_up()
            except Unavailable as error:
                logger.debug("reconciler.unavailable", reason=str(error))
            await asyncio.sleep(interval_s)

    async def count(self, interval_s: float) -> None:
        """Keep `rows` as the work stream has them, until cancelled."""
        try:
            while True:
                with contextlib.suppress(Unavailable):
                    waiting: dict[tuple[str, str], int] = {}
                    for state in await self._work.states():
                        labels = (state.row.work_class.value, state.model)
                        waiting[labels] = waiting.get(labels, 0) + state.pending
                    self.rows = waiting
                await asyncio.sleep(interval_s)
        finally:
            self.rows = {}

    async def look(self) -> int:
        """Add work for the jobs that have none; returns how many there were.

        A job that runs counts too: without work nobody would be given it if its worker fell silent.

        Raises:
            Unavailable: some may be left.
        """
        now = timestamp()
        active = {
            record.id: record
            for record in self._ledger
            if seconds_between(record.created_at, now) > _SETTLED_S and record.status in _ACTIVE
        }
        if not active:
            return 0
        # Asked after the records were looked at: work that goes meanwhile belongs to a job that has just ended.
        missing = active.keys() - await self._work.jobs()
        found = 0
        for job_id in missing:
            last = await self._writer.last(job_id)
            row = await self._store.row(job_id)
            if last is None or row is None or last.message.state.status.is_terminal:
                continue
            place = self._places.of(row)
            attempt = last.message.state.attempt
            if await self._work.add(job_id, place.row, attempt=attempt, model=place.model):
                logger.warning("work.was_missing", job_id=job_id, attempt=attempt)
                found += 1
        return found


_ACTIVE: Final = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
