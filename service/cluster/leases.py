"""Who of several gateways does what only one may do."""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable
from typing import Final

import structlog

from service.cluster.connection import ANSWER_S, Connection, Unavailable
from service.cluster.jetstream import ask
from service.cluster.kv import Bucket
from service.cluster.stream_settings import LEASE_TTL_S

logger = structlog.get_logger(__name__)

_RETRY_S: Final = 0.2
_GOODBYE_S: Final = 1.0


class Lease:
    """An entry in the bucket `leases` that goes when it is not renewed.

    Two never hold it at once. Whoever holds it stops believing so `ttl_s` after it *asked* for the last renewal that
    went well; NATS drops the entry `ttl_s` after it *got* it, which is later. Only a bucket in memory that went with
    its server gives an entry away sooner: there, who takes a lease that nobody gave up waits another `ttl_s`, in which
    whoever held it before has stopped believing.

    Args:
        bucket: `leases`, whose entries live `ttl_s`.
        key: what the lease is for.
        owner: shown in the entry.
        on_gain, on_loss: called at each change of `is_held`; `on_loss` perhaps later than it, if the event loop hung.
        clock: seconds, rising, also while the process is stopped.
    """

    def __init__(
        self,
        connection: Connection,
        bucket: Bucket,
        key: str,
        owner: str,
        *,
        ttl_s: float = LEASE_TTL_S,
        on_gain: Callable[[], None] = lambda: None,
        on_loss: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._bucket = bucket
        self._key = key
        self._value = f"{owner} {secrets.token_hex(8)}".encode()
        self._ttl_s = ttl_s
        self._on_gain = on_gain
        self._on_loss = on_loss
        self._clock = clock
        self._revision: int | None = None
        self._from = 0.0
        self._until = 0.0
        self._was_held = False

    @property
    def is_held(self) -> bool:
        """Whether it is certainly ours, at this moment."""
        return self._revision is not None and self._from <= self._clock() < self._until

    async def run(self) -> None:
        """Take it when it is free, and keep it, until cancelled; then give it up."""
        try:
            while True:
                # What holds it must hear in time that it does no longer, even if NATS does not answer.
                left_s = self._until - self._clock() if self._was_held else ANSWER_S
                wait_s = _RETRY_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(left_s, 0.0)):
                        wait_s = await self._try()
                self._tell()
                changes_s = (self._until if self._was_held else self._from) - self._clock()
                await asyncio.sleep(min(wait_s, changes_s) if changes_s > 0 else wait_s)
                self._tell()
        finally:
            # Before it was held it is not ours to give: see the class.
            revision = self._revision if self.is_held else None
            self._revision = None
            self._tell()
            if revision is not None:
                with contextlib.suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._bucket.delete(self._key, revision)

    async def _try(self) -> float:
        """Take or renew it; returns how long until that is due again."""
        asked_at = self._clock()
        try:
            if self._revision is not None and asked_at < self._until:
                await self._renew(self._revision, asked_at)
            else:
                self._revision = None
                await self._take(asked_at)
        except Unavailable as problem:
            logger.debug("lease.unavailable", lease=self._key, reason=str(problem))
            return _RETRY_S
        if self._revision is not None:
            return self._ttl_s / 3
        return self._ttl_s * random.uniform(0.1, 0.2)  # noqa: S311 - only so that not all ask in the same moment

    async def _renew(self, revision: int, asked_at: float) -> None:
        renewed = await self._bucket.update(self._key, self._value, revision)
        if renewed is None:
            entry = await self._bucket.get(self._key)
            if entry is not None and entry.value == self._value:  # a renewal went well whose answer was lost
                renewed = await self._bucket.update(self._key, self._value, entry.revision)
        self._revision = renewed
        if renewed is not None:
            self._until = asked_at + self._ttl_s

    async def _take(self, asked_at: float) -> None:
        entry = await self._bucket.get(self._key)
        if entry is not None and entry.value != self._value:
            return
        given_up_at = await self._bucket.removal(self._key) if entry is None else None
        is_surely_free = given_up_at is not None or await self._is_durable()
        last = entry.revision if entry is not None else given_up_at or 0
        revision = await self._bucket.update(self._key, self._value, last)
        if revision is not None:
            self._from = asked_at if is_surely_free else asked_at + self._ttl_s
            self._until = asked_at + self._ttl_s
            self._revision = revision

    async def _is_durable(self) -> bool:
        """Whether an entry that is not there has run out, rather than gone with its server."""
        answer = await ask(self._connection, f"STREAM.INFO.{self._bucket.stream}")
        return bool(answer["config"]["storage"] == "file")

    def _tell(self) -> None:
        if self.is_held != self._was_held:
            self._was_held = not self._was_held
            logger.info("lease.gained" if self._was_held else "lease.lost", lease=self._key)
            (self._on_gain if self._was_held else self._on_loss)()
