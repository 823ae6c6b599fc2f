"""Which workers there are, as a gateway knows it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from service.cluster.connection import Connection
from service.cluster.kv import Bucket, Entry
from service.cluster.names import token
from service.cluster.presence import WorkerPresence
from service.cluster.watch import Watch

logger = structlog.get_logger(__name__)

_AFTER_OUTAGE_S: Final = 3.0
"""In this time a worker that lives has announced itself again to a bucket that went with its server."""


class Workers:
    """Follows the bucket `workers`.

    A worker that has not announced itself for `worker_lost_s` is gone, as it is for NATS, which drops its entry then
    without a word. While NATS is away nobody goes: nothing could have been heard.

    Args:
        bucket: `workers`.
        on_change: called after each change of `current`.
        clock: seconds, rising.
    """

    def __init__(
        self,
        connection: Connection,
        bucket: Bucket,
        *,
        worker_lost_s: float,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._worker_lost_s = worker_lost_s
        self._on_change = on_change
        self._clock = clock
        self._watch = Watch(connection, bucket, on_all=self._begin, on_entry=self._hear, on_gone=self._drop)
        self._known: dict[str, WorkerPresence] = {}
        """By the key of its entry."""
        self._goes_at: dict[str, float] = {}
        self._sooner = asyncio.Event()

    def current(self) -> Mapping[str, WorkerPresence]:
        """Those there are now, by their ids."""
        return {presence.id: presence for presence in self._known.values()}

    async def until_current(self) -> None:
        """Wait until all there were at the start are known."""
        await self._watch.until_current()

    async def read(self, worker_id: str) -> WorkerPresence | None:
        """What a worker says of itself, asked of NATS itself.

        Raises:
            Unavailable: NATS is away.
        """
        entry = await self._bucket.get(token(worker_id))
        return _decoded(entry) if entry is not None else None

    async def holds(self, worker_id: str, job_id: str) -> bool:
        """Whether a worker says that a job is live there, asked of NATS itself.

        Raises:
            Unavailable: NATS is away.
        """
        presence = await self.read(worker_id)
        return presence is not None and job_id in presence.jobs

    async def run(self) -> None:
        """Follow them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run(), name="workers-watch")
            tasks.create_task(self._let_go(), name="workers-let-go")

    def _begin(self, entries: Mapping[str, Entry]) -> None:
        soon = self._clock() + min(_AFTER_OUTAGE_S, self._worker_lost_s)
        for key in self._known:
            if key not in entries:
                self._goes_at[key] = min(soon, self._goes_at[key]) if self._is_fresh(key) else soon
        self._sooner.set()
        for entry in entries.values():
            self._note(entry)
        self._on_change()

    def _is_fresh(self, key: str) -> bool:
        return self._clock() < self._goes_at[key]

    def _hear(self, entry: Entry) -> None:
        if self._note(entry):
            self._on_change()

    def _note(self, entry: Entry) -> bool:
        """Whether it says anything new."""
        presence = _decoded(entry)
        if presence is None:
            return False
        is_new = self._known.get(entry.key) != presence or not self._is_fresh(entry.key)
        self._known[entry.key] = presence
        self._goes_at[entry.key] = self._clock() + self._worker_lost_s
        self._sooner.set()
        return is_new

    def _drop(self, key: str) -> None:
        self._goes_at.pop(key, None)
        if self._known.pop(key, None) is not None:
            self._on_change()

    async def _let_go(self) -> None:
        """Forget those that were not heard of for too long."""
        while True:
            self._sooner.clear()
            await self._watch.until_current()
            now = self._clock()
            for key in [key for key, goes_at in self._goes_at.items() if goes_at <= now]:
                self._drop(key)
            left_s = min(self._goes_at.values(), default=now + self._worker_lost_s) - now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, 0.001)):
                    await self._sooner.wait()


def _decoded(entry: Entry) -> WorkerPresence | None:
    try:
        return WorkerPresence.decode(entry.value)
    except ValueError as problem:
        logger.warning("worker.unreadable", worker=entry.key, reason=str(problem))
        return None
