"""The role of a server that is everything in one process."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from service.broker import FactLog
from service.files import Files
from service.ledger import Ledger
from service.queue_view import QueueView
from service.recovery import recover, remove_orphans
from service.store import Store
from service.workbench import Workbench


class Standalone:
    """Implements `service.role.Role`. For the event loop only."""

    def __init__(
        self,
        workbench: Workbench,
        log: FactLog,
        *,
        store: Store,
        files: Files,
        ledger: Ledger,
        arrivals: Iterator[int],
        queue: QueueView,
        max_attempts: int,
    ) -> None:
        self.workbench = workbench
        self._log = log
        self._store = store
        self._files = files
        self._ledger = ledger
        self._arrivals = arrivals
        self._queue = queue
        self._max_attempts = max_attempts
        self._knows_jobs = asyncio.Event()

    @property
    def on_ready(self) -> Callable[[], None]:
        """See `service.role.Role`."""
        return self.workbench.on_ready

    @on_ready.setter
    def on_ready(self, told: Callable[[], None]) -> None:
        self.workbench.on_ready = told

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        yield from self.workbench.tasks()
        yield "orphans", self._remove_orphans()

    async def take_over(self) -> None:
        await recover(
            self._store,
            self._ledger,
            self._arrivals,
            self._queue,
            self._log,
            max_attempts=self._max_attempts,
        )
        self._knows_jobs.set()
        self.workbench.start()

    def pause(self) -> None:
        self.workbench.pause()

    async def stop(self, timeout_s: float) -> None:
        await self.workbench.stop(timeout_s)

    async def settle(self, timeout_s: float) -> None:
        await self.workbench.settle(timeout_s)

    async def close(self) -> None:
        """There is nothing to leave."""

    async def _remove_orphans(self) -> None:
        await self._knows_jobs.wait()
        await remove_orphans(self._store, self._files)
