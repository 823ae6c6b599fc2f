"""The gateways' side of waiting work: puts jobs into rows and takes them out again.

How a row can be removed while another gateway puts work into it. A message needs no consumer to be stored; it needs
one to be seen. `add` stores first and then, unless it has done so within ten minutes, makes the consumer or notes in
it that it is in use. `clean_up` removes a consumer that nobody has touched for an hour and nothing stands in, and then
looks for messages in its row: one that came before the removal is seen there and the consumer is made again, one that
comes later comes from a gateway that touches it afterwards. What is left is a gateway that touched the row between the
cleaner's looking and removing, and puts a second job in without touching; so each `clean_up` begins by making the
consumers of rows that have messages and none.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from nats.js.api import Header

from service.cluster.connection import Connection, asking
from service.cluster.jetstream import ask
from service.cluster.names import Names, Row
from service.cluster.work_rows import RowState, WorkRows, payload

logger = structlog.get_logger(__name__)

TOUCH_S: Final = 600.0
IDLE_S: Final = 3600.0


class WorkPublisher:
    """Puts work into its rows. All methods raise `Unavailable`, and then may have done their work or not.

    Args:
        clock: seconds, rising.
    """

    def __init__(
        self, connection: Connection, names: Names, rows: WorkRows, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._names = names
        self._rows = rows
        self._clock = clock
        self._touched: dict[Row, float] = {}
        self._touching: dict[Row, asyncio.Lock] = {}
        connection.on_state.append(self._forget)

    async def add(self, job_id: str, row: Row, *, attempt: int = 1, model: str) -> bool:
        """Let a job wait in `row`, and wake a worker. To do it again is safe: NATS drops the second within 2 minutes.

        Args:
            model: the name that `row.model` is the token of.

        Returns:
            False if NATS had this attempt already. That is remembered for 2 minutes, withdrawn or not.
        """
        with asking("adding work"):
            ack = await self._connection.js.publish(
                self._names.work(row, job_id),
                payload(job_id),
                stream=self._names.work_stream,
                headers={Header.MSG_ID.value: f"{job_id}:{attempt}"},
            )
        await self._touch(row, model)
        await self._rows.wake(row)
        return not ack.duplicate

    async def withdraw(self, job_id: str) -> bool:
        """Take a job out of its row, in whichever it stands; a worker that has it already keeps it.

        Returns:
            Whether it stood there.
        """
        request = {"filter": self._names.work_of_job(job_id)}
        answer = await ask(self._connection, f"STREAM.PURGE.{self._names.work_stream}", request)
        return bool(answer.get("purged"))

    async def jobs(self) -> set[str]:
        """The ids of all jobs that wait or are at a worker; some that come or go meanwhile may be left out."""
        return {job_id for _, job_id in await self._rows.waiting(self._names.all_work)}

    async def depth(self) -> Mapping[Row, int]:
        """How many jobs in each row no worker has been given yet; rows without any are left out."""
        return {state.row: state.pending for state in await self._rows.all() if state.pending}

    async def states(self) -> list[RowState]:
        """Each row with what it holds, for metrics."""
        return await self._rows.all()

    async def clean_up(self, *, idle_s: float = IDLE_S, now: Callable[[], float] = time.time) -> int:
        """Make the consumers that are missing, and remove those of rows out of use. For one gateway at a time.

        Args:
            idle_s: since it was touched, which is noted every ten minutes; the gateways' clocks may differ by less.

        Returns:
            How many rows were removed.
        """
        states = await self._rows.all()
        if (await self._rows.stream()).messages > sum(state.pending + state.unacknowledged for state in states):
            known = {state.row for state in states}
            for row in {row for row, _ in await self._rows.waiting(self._names.all_work)} - known:
                logger.warning("work.row_was_missing", row=self._names.consumer(row))
                await self._rows.make(row, row.model)
                await self._rows.wake(row)
        removed = 0
        for state in states:
            if state.pending or state.unacknowledged or now() - state.touched_at <= idle_s:
                continue
            self._touched.pop(state.row, None)
            await self._rows.remove(state.row)
            if await self._rows.waiting(self._names.work_of_row(state.row)):
                await self._rows.make(state.row, state.model)
            else:
                removed += 1
        return removed

    async def _touch(self, row: Row, model: str) -> None:
        if self._is_touched(row):
            return
        async with self._touching.setdefault(row, asyncio.Lock()):
            if self._is_touched(row):  # by another that waited before us
                return
            started_at = self._clock()
            await self._rows.make(row, model)
            self._touched[row] = started_at

    def _is_touched(self, row: Row) -> bool:
        touched_at = self._touched.get(row)
        return touched_at is not None and self._clock() - touched_at < TOUCH_S

    def _forget(self, is_connected: bool) -> None:
        if not is_connected:  # who knows what comes back
            self._touched.clear()
