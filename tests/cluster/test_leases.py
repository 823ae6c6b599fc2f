"""Two gateways, one lease: never both, and soon one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from nats.js.api import StorageType

from service.cluster.connection import Connection, connect
from service.cluster.kv import Bucket
from service.cluster.leases import Lease
from service.cluster.names import Names
from tests.cluster.members import eventually, running
from tests.nats_servers import NatsServer

pytestmark = pytest.mark.anyio

TTL_S = 0.8


@dataclass
class Holder:
    """A gateway, and when it held the lease."""

    connection: Connection
    lease: Lease = field(init=False)
    changes: list[bool] = field(default_factory=list)


class Cluster:
    """Gateways that each have a connection of their own."""

    def __init__(self, nats: NatsServer, names: Names, storage: StorageType) -> None:
        self.nats = nats
        self.name = names.bucket("leases")
        self.storage = storage

    async def make(self, connection: Connection) -> None:
        await connection.js.create_key_value(bucket=self.name, ttl=TTL_S, storage=self.storage)

    @asynccontextmanager
    async def gateway(self, owner: str) -> AsyncIterator[Holder]:
        connection = await connect(self.nats.url, owner)
        await self.make(connection)
        connection.on_reconnect.append(lambda: self.make(connection))
        holder = Holder(connection)
        holder.lease = Lease(
            connection,
            Bucket(connection, self.name),
            "leader",
            owner,
            ttl_s=TTL_S,
            on_gain=lambda: holder.changes.append(True),
            on_loss=lambda: holder.changes.append(False),
        )
        try:
            async with running(holder.lease.run()):
                yield holder
        finally:
            await connection.close()


@asynccontextmanager
async def never_two(*holders: Holder) -> AsyncIterator[None]:
    """Look all the time that no two hold it."""

    async def look() -> None:
        while True:
            assert sum(holder.lease.is_held for holder in holders) < 2, "two hold it at once"
            await asyncio.sleep(0.002)

    async with running(look()):
        yield


@pytest.fixture(params=[StorageType.FILE, StorageType.MEMORY])
def cluster(nats: NatsServer, names: Names, request: pytest.FixtureRequest) -> Cluster:
    return Cluster(nats, names, request.param)


@pytest.fixture
def on_file(nats: NatsServer, names: Names) -> Cluster:
    return Cluster(nats, names, StorageType.FILE)


async def test_one_of_two_gains_it_and_keeps_it(cluster: Cluster) -> None:
    async with cluster.gateway("a") as one, cluster.gateway("b") as two, never_two(one, two):
        await eventually(lambda: one.lease.is_held or two.lease.is_held, "one to hold it")
        await asyncio.sleep(2.5 * TTL_S)
        assert sorted((one.changes, two.changes)) == [[], [True]]


async def test_who_ends_gives_it_up_at_once(on_file: Cluster) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(on_file.gateway("a"))
        await eventually(lambda: first.lease.is_held, "the first to hold it")
        async with on_file.gateway("b") as second, never_two(first, second):
            started_at = time.monotonic()
            await stack.aclose()
            assert first.changes == [True, False]
            await eventually(lambda: second.changes == [True], "the second to hold it")
            assert time.monotonic() - started_at < 0.6 * TTL_S


async def test_who_is_cut_off_loses_it_in_time_and_another_gains_it(cluster: Cluster) -> None:
    async with cluster.gateway("a") as first:
        await eventually(lambda: first.lease.is_held, "the first to hold it")
        async with cluster.gateway("b") as second, never_two(first, second):
            # As a connection whose machine has lost its network: nothing comes, and nothing breaks.
            first.connection.nats._transport._io_reader._transport.pause_reading()  # type: ignore[union-attr]
            started_at = time.monotonic()
            await eventually(lambda: first.changes == [True, False], "the first to notice")
            assert time.monotonic() - started_at < 1.5 * TTL_S
            await eventually(lambda: second.lease.is_held, "the second to hold it")


async def test_who_was_stopped_does_not_believe_to_hold_it_when_it_wakes(on_file: Cluster) -> None:
    async with on_file.gateway("a") as first:
        await eventually(lambda: first.lease.is_held, "it to be held")
        time.sleep(1.2 * TTL_S)  # the event loop, as after SIGSTOP
        assert not first.lease.is_held
        await eventually(lambda: first.changes[:2] == [True, False], "that to be told")
        await eventually(lambda: first.lease.is_held, "it to be held again")


async def test_no_two_hold_it_when_nats_is_killed_and_comes_back(cluster: Cluster) -> None:
    async with cluster.gateway("a") as one, cluster.gateway("b") as two, never_two(one, two):
        for _ in range(2):
            await eventually(lambda: one.lease.is_held or two.lease.is_held, "one to hold it")
            cluster.nats.kill()
            await eventually(lambda: not one.connection.is_connected and not two.connection.is_connected, "the break")
            await cluster.nats.start_beside()
            await one.connection.until_connected()
            await two.connection.until_connected()
            await asyncio.sleep(1.2 * TTL_S)  # what was believed before has run out
        await eventually(lambda: one.lease.is_held or two.lease.is_held, "one to hold it")


async def test_nobody_holds_it_while_nats_is_away_for_long(on_file: Cluster) -> None:
    async with on_file.gateway("a") as one, on_file.gateway("b") as two, never_two(one, two):
        await eventually(lambda: one.lease.is_held or two.lease.is_held, "one to hold it")
        on_file.nats.kill()
        await eventually(lambda: not one.lease.is_held and not two.lease.is_held, "nobody to hold it")
        await eventually(lambda: sorted((one.changes, two.changes)) == [[], [True, False]], "that to be told")
        await on_file.nats.start_beside()
        await eventually(lambda: one.lease.is_held or two.lease.is_held, "one to hold it")


async def test_an_entry_that_went_with_its_server_is_not_taken_before_its_holder_has_noticed(
    nats: NatsServer, names: Names
) -> None:
    cluster = Cluster(nats, names, StorageType.MEMORY)
    async with cluster.gateway("a") as first:
        await eventually(lambda: first.lease.is_held, "the first to hold it")
        async with cluster.gateway("b") as second, never_two(first, second):
            first.connection.nats._transport._io_reader._transport.pause_reading()  # type: ignore[union-attr]
            await second.connection.js.delete_key_value(cluster.name)
            await cluster.make(second.connection)
            await eventually(lambda: second.lease.is_held, "the second to hold it")
            assert first.changes == [True, False]
