"""What tests of several members of a cluster share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from service.cluster.connection import Connection
from service.cluster.names import Names
from service.cluster.streams import ensure, ensure_buckets
from service.settings import Settings
from tests.servers import DEADLINE_S


async def join(connection: Connection, names: Names, settings: Settings) -> None:
    """Make what the cluster needs at NATS, and the buckets again after each reconnect."""
    await ensure(connection, names, settings)
    connection.on_reconnect.append(lambda: ensure_buckets(connection, names, settings))


async def eventually(is_true: Callable[[], bool], what: str) -> None:
    """Wait for something the code under test does by itself and sends no event of."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not is_true():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited {DEADLINE_S:g} s for {what}") from None


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a background task while the block lasts; should it fail, the block does."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()
