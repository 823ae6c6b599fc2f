"""A worker's side of presence: tells gateways and other workers that it is there, and what it does."""

import asyncio
import contextlib
from typing import Final

import structlog

from service.cluster.connection import Connection, Unavailable
from service.cluster.kv import Bucket
from service.cluster.names import token
from service.cluster.presence import WorkerPresence

logger = structlog.get_logger(__name__)

_RETRY_S: Final = 0.5
_BETWEEN_S: Final = 0.05


class Announcer:
    """Keeps one worker's entry in the bucket `workers` fresh.

    Args:
        bucket: `workers`; its entries live `worker_lost_s`.
    """

    def __init__(self, connection: Connection, bucket: Bucket, *, worker_lost_s: float) -> None:
        self._connection = connection
        self._bucket = bucket
        self._interval_s = worker_lost_s / 3
        self._presence: WorkerPresence | None = None
        self._is_due = asyncio.Event()
        self._has_told = asyncio.Event()

    def announce(self, presence: WorkerPresence) -> None:
        """Say what is so from now on; it is told at once if it differs from before."""
        if presence != self._presence:
            self._presence = presence
            self._has_told.clear()
            self._is_due.set()

    async def until_told(self) -> None:
        """Wait until the latest `announce` has reached NATS."""
        await self._has_told.wait()

    async def run(self) -> None:
        """Tell it now, at each change, every third of `worker_lost_s`, and after each reconnect, until cancelled."""
        self._connection.on_state.append(self._tell_anew)
        try:
            while True:
                wait_s = self._interval_s
                if self._presence is not None and not await self._tell(self._presence):
                    wait_s = min(wait_s, _RETRY_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._is_due.wait()
                if self._is_due.is_set():
                    await asyncio.sleep(_BETWEEN_S)  # many jobs that start at once are told of at once
        finally:
            self._connection.on_state.remove(self._tell_anew)

    async def leave(self) -> None:
        """Remove the entry, at the end; `run` has ended.

        Raises:
            Unavailable: the entry stays until it is too old.
        """
        if self._presence is not None:
            await self._bucket.delete(token(self._presence.id))

    async def _tell(self, presence: WorkerPresence) -> bool:
        self._is_due.clear()
        value = presence.encode()
        if len(value) > self._bucket.room_bytes:
            logger.error("worker.too_many_models", models=len(presence.models), size_bytes=len(value))
            value = presence.without_models().encode()
        try:
            await self._bucket.put(token(presence.id), value)
        except Unavailable as problem:
            logger.debug("worker.not_announced", reason=str(problem))
            return False
        if presence is self._presence:
            self._has_told.set()
        return True

    def _tell_anew(self, is_connected: bool) -> None:
        if is_connected:
            self._is_due.set()
