"""Wakes one idle worker when there is work."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.names import Names, Row
from service.cluster.work_rows import WorkRows


class Alarm:
    """Listens as long as its block lasts: a worker that is at work must not be the one that is woken.

    Of those who serve the same models NATS wakes one, so every idle worker that says truly what it serves hears of
    what nobody like it has heard of. What has come and was not taken is passed on to another.

    Args:
        models: tokens of the models served.
        may_take: whether work of a row is of use; for other rows it does not ring.
    """

    def __init__(
        self,
        connection: Connection,
        names: Names,
        rows: WorkRows,
        *,
        models: Collection[str],
        may_take: Callable[[Row], bool],
    ) -> None:
        self._connection = connection
        self._names = names
        self._rows = rows
        self._group = "workers-" + hashlib.sha256(" ".join(sorted(models)).encode()).hexdigest()[:8]
        self._may_take = may_take
        self._rung_for: set[Row] = set()
        self._rings = asyncio.Event()
        self._subscription: Subscription | None = None

    async def wait(self, most_s: float) -> bool:
        """Wait for a wake, or for the connection to break or come back; False if nothing came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._rings.wait()
        return self._rings.is_set()

    def take(self) -> set[Row]:
        """The rows that are said to have work; they are forgotten here."""
        rows, self._rung_for = self._rung_for, set()
        self._rings.clear()
        return rows

    async def __aenter__(self) -> Self:
        """What is asked of NATS from now on is answered when it has heard that somebody listens.

        Raises:
            Unavailable: NATS is away.
        """
        with asking("listening for work"):
            self._subscription = await self._connection.nats.subscribe(
                self._names.wake("*"), queue=self._group, cb=self._ring
            )
        self._connection.on_state.append(self._ring_for_state)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.on_state.remove(self._ring_for_state)
        assert self._subscription is not None
        with contextlib.suppress(nats.errors.Error):
            await self._subscription.unsubscribe()
        for row in self._rung_for:
            with contextlib.suppress(Unavailable):
                await self._rows.wake(row)

    async def _ring(self, message: Msg) -> None:
        row = self._names.row_of_consumer(message.data.decode("ascii", "replace"))
        if row is not None and self._may_take(row):
            self._rung_for.add(row)
            self._rings.set()

    def _ring_for_state(self, _is_connected: bool) -> None:
        self._rings.set()  # gone: that is to be told at once; back: who knows what came meanwhile
