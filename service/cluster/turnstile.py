"""One gateway at a time: an entry in the bucket `leases` that is taken for moments."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from service.cluster.connection import Unavailable
from service.cluster.kv import Bucket
from service.cluster.stream_settings import LEASE_TTL_S

_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.3
_PATIENCE_S: Final = LEASE_TTL_S + 2.0
"""Whoever went away within it is forgotten by then."""


class Turnstile:
    """See the module. What is done within must end in less than `LEASE_TTL_S`.

    Args:
        bucket: `leases`.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @asynccontextmanager
    async def through(self, name: str) -> AsyncIterator[None]:
        """Within it no other gateway is within that of the same name.

        Raises:
            Unavailable: NATS is away, or too many others want through.
        """
        mine, revision, pause_s = secrets.token_bytes(8), None, _PAUSE_S
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while (revision := await self._bucket.create(name, mine)) is None:
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            raise Unavailable(f"{name}: others were in the way for {_PATIENCE_S:g} s") from None
        try:
            yield
        finally:
            with contextlib.suppress(Unavailable):  # it goes by itself
                await self._bucket.delete(name, revision)
