"""The workers' side of waiting work: takes one job at a time, the most urgent first.

The order among rows: class; then rows whose model is in memory, and those nobody has taken from for long; then the
shares in turn, the one served last going last. Which rows have work is asked of NATS and believed for a quarter of a
second. What NATS does not list is the work of lost workers and what was handed back: some rows with unacknowledged
work are therefore tried each time, those not tried for longest first, and any row a worker is woken for. There are
no more such rows than jobs at workers, so the workers together try each often.
"""

import contextlib
import math
import random
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from service.cluster.alarm import Alarm
from service.cluster.connection import Connection, Unavailable
from service.cluster.delivery import ANSWER_S, Delivery
from service.cluster.names import Names, Row, WorkClass
from service.cluster.puller import Puller
from service.cluster.row_list import RowList
from service.cluster.work_rows import WorkRows

_PATIENCE_S: Final = 20.0
_LONGEST_SLEEP_S: Final = 1.0
_LONGEST_UNTRIED_S: Final = 4.0
_MOST_TRIED: Final = 8
_RANKS: Final = {work_class: rank for rank, work_class in enumerate(WorkClass)}


class WorkQueue:
    """Chooses and takes work for one worker. One call of `next` at a time.

    Args:
        worker_lost_s: the work of a worker that was silent for so long is found within half of this again.
        patience_s: a row nobody takes from for so long is treated as if its model were in memory, so that work for
            a model that is not is not put off for ever.
        clock: seconds, rising.
    """

    def __init__(
        self,
        connection: Connection,
        names: Names,
        rows: WorkRows,
        *,
        worker_lost_s: float,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._names = names
        self._rows = rows
        self._worker_lost_s = worker_lost_s
        self._patience_s = patience_s
        self._clock = clock
        self._list = RowList(rows, clock)
        connection.on_state.append(self._doubt)
        self._puller = Puller(connection, answer_s=ANSWER_S)
        self._tried_at: dict[Row, float] = {}
        """When a row was last tried and had nothing."""
        self._hinted: set[Row] = set()
        self._in_hand: Delivery | None = None
        """Taken, and not yet given to who called."""
        self._turn = 0
        self._share_served: dict[tuple[WorkClass, int], int] = {}
        self._row_served: dict[Row, int] = {}
        self.is_waiting = False
        """It sleeps, and new work wakes it."""

    async def next(
        self,
        serves: Callable[[Row], bool],
        warm: Callable[[Row], bool],
        wants: Callable[[WorkClass], bool],
        wait_s: float,
        *,
        models: Collection[str] = (),
    ) -> Delivery | None:
        """Take the most urgent job, waiting for one if there is none. To cancel it loses nothing.

        Args:
            serves: whether this worker can run the work of a row.
            warm: whether the row's model is in memory.
            wants: whether it has a use for work of this class now.
            wait_s: at most; the longer, the less NATS is asked. 0 only looks.
            models: tokens of the models it serves. Of those who say the same one is woken for each job.

        Raises:
            Unavailable: NATS is away, or one question took two seconds.
        """

        def may_take(row: Row) -> bool:
            return wants(row.work_class) and serves(row)

        try:
            await self._wait(may_take, warm, models, self._clock() + wait_s)
            if self._in_hand is not None and self._in_hand.more_pending:
                # NATS wakes one idle worker for each job, perhaps the same one twice. We listen no longer.
                with contextlib.suppress(Unavailable):
                    await self._rows.wake(self._in_hand.row)
        except BaseException:
            if self._in_hand is not None:
                with contextlib.suppress(Unavailable):
                    await self._in_hand.hand_back()
            raise
        else:
            return self._in_hand
        finally:
            self._in_hand = None

    async def _wait(
        self, may_take: Callable[[Row], bool], warm: Callable[[Row], bool], models: Collection[str], ends_at: float
    ) -> None:
        if await self._take(may_take, warm) or self._clock() >= ends_at:
            return
        async with Alarm(self._connection, self._names, self._rows, models=models, may_take=may_take) as alarm:
            self._list.expire()  # what came before we listened woke nobody
            while True:
                taken, left_s = await self._take(may_take, warm), ends_at - self._clock()
                if taken or left_s <= 0:
                    return
                # Idle workers do not all ask in the same moment.
                sleep_s = _LONGEST_SLEEP_S * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
                self.is_waiting = True
                try:
                    if await alarm.wait(min(left_s, sleep_s)):
                        self._hinted |= alarm.take()
                        self._list.expire()
                finally:
                    self.is_waiting = False

    async def close(self) -> None:
        """Listen for nothing any more; `next` is not to be called again."""
        self._connection.on_state.remove(self._doubt)
        await self._puller.close()

    # ---- choosing --------------------------------------------------------------------------------------------

    async def _take(self, may_take: Callable[[Row], bool], warm: Callable[[Row], bool]) -> bool:
        """Take one job in hand, if there is one."""
        is_fresh = await self._list.refresh()
        while True:
            for row in self._in_order(filter(may_take, self._list.rows | self._hinted), warm):
                if await self._fetch(row):
                    return True
            self._hinted.clear()
            if is_fresh:
                return False
            self._list.expire()
            is_fresh = await self._list.refresh()

    def _in_order(self, rows: Iterable[Row], warm: Callable[[Row], bool]) -> list[Row]:
        candidates, unlisted = [], []
        for row in rows:
            state = self._list.state(row)
            if row in self._hinted or (state is not None and state.pending):
                candidates.append(row)
            elif state is not None and state.unacknowledged:
                unlisted.append(row)
        random.shuffle(candidates)  # among equals no row is everybody's first
        return sorted(
            candidates + self._due(unlisted),
            key=lambda row: (
                _RANKS[row.work_class],
                not warm(row) and self._list.passed_over_s(row) < self._patience_s,
                self._share_served.get((row.work_class, row.share), 0),
                self._row_served.get(row, 0),
            ),
        )

    def _due(self, rows: Iterable[Row]) -> list[Row]:
        """Those to be tried although NATS lists no work in them."""
        longest_s = min(self._worker_lost_s / 2, _LONGEST_UNTRIED_S)
        due_from = self._clock() - longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        due = [row for row in rows if self._tried_at.get(row, -math.inf) <= due_from]
        return sorted(due, key=lambda row: self._tried_at.get(row, -math.inf))[:_MOST_TRIED]

    async def _fetch(self, row: Row) -> bool:
        """Ask one row for one job; whether there is one in hand now."""
        self._hinted.discard(row)
        message = await self._puller.next(self._names.work_stream, self._names.consumer(row))
        if message is None:
            self._list.ran_dry(row)
            self._tried_at[row] = self._clock()
            return False
        self._in_hand = delivery = Delivery(self._connection, self._rows, message)
        self._list.was_taken(delivery.row)
        self._turn += 1
        self._share_served[delivery.row.work_class, delivery.row.share] = self._turn
        self._row_served[delivery.row] = self._turn
        return True

    def _doubt(self, _is_connected: bool) -> None:
        self._list.forget()
