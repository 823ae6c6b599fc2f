"""Workers announce themselves; gateways see them come, change and go, whatever NATS does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from engine.interface.engine import EngineStatus, ResidentModel
from protocol.models import ModelInfo
from protocol.requests import TaskName
from service.cluster.announcer import Announcer
from service.cluster.connection import Connection, Unavailable
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.cluster.presence import WorkerPresence
from service.cluster.workers import Workers
from service.settings import Settings, load
from tests.cluster.members import eventually, join, running
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio

LOST_S = 1.0
MODEL = ModelInfo(
    name="spark", title="Spark", tasks=(TaskName.TEXT_TO_IMAGE,), licence="MIT", size_bytes=7, is_present=True
)
FIRST = WorkerPresence(
    id="w-1",
    name="gpu one",
    device="cpu",
    status=EngineStatus.READY,
    jobs=frozenset({"j1", "j2"}),
    live_bytes=1,
    budget_bytes=2,
    resident=(ResidentModel("checkpoint:spark", 3, 4),),
    models=(MODEL,),
    version="1",
    since="2026-01-01T00:00:00.000Z",
)


@pytest.fixture
def settings(nats: NatsServer, names: Names) -> Settings:
    return load(None, {"nats_url": nats.url, "cluster": names.cluster, "worker_lost_s": LOST_S})


@pytest.fixture
async def bucket(connection: Connection, names: Names, settings: Settings) -> Bucket:
    await join(connection, names, settings)
    return Bucket(connection, names.bucket("workers"))


class Seen(Workers):
    """A gateway's view, with what it was at each change."""

    def __init__(self, connection: Connection, bucket: Bucket) -> None:
        super().__init__(connection, bucket, worker_lost_s=LOST_S, on_change=self.note)
        self.views: list[dict[str, WorkerPresence]] = []

    def note(self) -> None:
        self.views.append(dict(self.current()))


@asynccontextmanager
async def looking(connection: Connection, bucket: Bucket) -> AsyncIterator[Seen]:
    workers = Seen(connection, bucket)
    async with running(workers.run()):
        await workers.until_current()
        yield workers


@asynccontextmanager
async def living(connection: Connection, bucket: Bucket, presence: WorkerPresence = FIRST) -> AsyncIterator[Announcer]:
    announcer = Announcer(connection, bucket, worker_lost_s=LOST_S)
    announcer.announce(presence)
    async with running(announcer.run()):
        await announcer.until_told()
        yield announcer


async def test_a_gateway_sees_all_that_a_worker_says_of_itself(connection: Connection, bucket: Bucket) -> None:
    async with living(connection, bucket), looking(connection, bucket) as workers:
        assert workers.current() == {"w-1": FIRST}


async def test_a_list_of_a_thousand_models_arrives_whole(connection: Connection, bucket: Bucket) -> None:
    many = replace(FIRST, models=tuple(MODEL.model_copy(update={"name": f"model {n}"}) for n in range(1000)))
    async with living(connection, bucket, many), looking(connection, bucket) as workers:
        assert workers.current() == {"w-1": many}


async def test_a_change_is_seen_at_once_and_once(connection: Connection, bucket: Bucket) -> None:
    async with looking(connection, bucket) as workers, living(connection, bucket) as announcer:
        await eventually(lambda: "w-1" in workers.current(), "the worker to be seen")
        workers.views.clear()
        fewer = replace(FIRST, jobs=frozenset({"j2"}), is_draining=True)
        async with asyncio.timeout(LOST_S / 4):  # no beat comes within a third
            announcer.announce(fewer)
            await announcer.until_told()
            await eventually(lambda: workers.views == [{"w-1": fewer}], "the change to be seen")


async def test_a_worker_that_lives_is_never_gone(connection: Connection, bucket: Bucket) -> None:
    async with looking(connection, bucket) as workers, living(connection, bucket):
        await eventually(lambda: "w-1" in workers.current(), "the worker to be seen")
        await asyncio.sleep(2.5 * LOST_S)
        assert workers.views == [{}, {"w-1": FIRST}]


async def test_a_worker_that_falls_silent_is_gone_for_gateways_and_for_nats(
    connection: Connection, bucket: Bucket
) -> None:
    async with looking(connection, bucket) as workers:
        async with living(connection, bucket):
            await eventually(lambda: "w-1" in workers.current(), "the worker to be seen")
        async with asyncio.timeout(3 * LOST_S):
            await eventually(lambda: workers.current() == {}, "the worker to be gone")
            await eventually(lambda: workers.views[-1] == {}, "that to be told")
            while await workers.holds("w-1", "j1"):
                await asyncio.sleep(0.01)


async def test_a_worker_that_leaves_is_gone_at_once(connection: Connection, bucket: Bucket) -> None:
    async with looking(connection, bucket) as workers:
        async with living(connection, bucket) as announcer:
            await eventually(lambda: "w-1" in workers.current(), "the worker to be seen")
        async with asyncio.timeout(LOST_S / 2):
            await announcer.leave()
            await eventually(lambda: workers.current() == {}, "the worker to be gone")


async def test_which_jobs_a_worker_holds_is_asked_of_nats(connection: Connection, bucket: Bucket) -> None:
    workers = Workers(connection, bucket, worker_lost_s=LOST_S)
    async with living(connection, bucket):
        assert await workers.holds("w-1", "j1")
        assert not await workers.holds("w-1", "j3")
        assert not await workers.holds("w-2", "j1")


async def test_workers_are_kept_while_nats_is_away_and_found_again_after(
    nats: NatsServer, connection: Connection, bucket: Bucket
) -> None:
    async with AsyncExitStack() as stack:
        workers = await stack.enter_async_context(looking(connection, bucket))
        await stack.enter_async_context(living(connection, bucket))
        going = await stack.enter_async_context(AsyncExitStack())
        await going.enter_async_context(living(connection, bucket, replace(FIRST, id="w-2")))
        await eventually(lambda: len(workers.current()) == 2, "both workers to be seen")
        nats.kill()
        await eventually(lambda: not connection.is_connected, "the connection to break")
        await going.aclose()
        with pytest.raises(Unavailable):
            await workers.holds("w-1", "j1")
        await asyncio.sleep(1.5 * LOST_S)
        assert len(workers.current()) == 2, "nothing could have been heard of them"
        await nats.start_beside()  # its buckets in memory are gone
        await eventually(lambda: list(workers.current()) == ["w-1"], "only the worker that lives to be left")
        await eventually(lambda: workers.views[-1] == {"w-1": FIRST}, "that to be told")
        assert await workers.holds("w-1", "j1")
        await asyncio.sleep(1.5 * LOST_S)
        assert list(workers.current()) == ["w-1"]


async def test_a_worker_announces_itself_as_soon_as_nats_is_back(
    nats: NatsServer, connection: Connection, bucket: Bucket
) -> None:
    announcer = Announcer(connection, bucket, worker_lost_s=600.0)
    announcer.announce(FIRST)
    async with running(announcer.run()):
        await announcer.until_told()
        nats.kill()
        await eventually(lambda: not connection.is_connected, "the connection to break")
        await nats.start_beside()
        await connection.until_connected()
        async with asyncio.timeout(DEADLINE_S):
            while await _value(bucket, FIRST.id) is None:
                await asyncio.sleep(0.01)


async def _value(bucket: Bucket, key: str) -> bytes | None:
    try:
        entry = await bucket.get(key)
    except Unavailable:  # it has not been made again yet
        return None
    return entry.value if entry is not None else None


async def test_a_bucket_that_is_made_anew_under_the_same_connection_is_followed(
    connection: Connection, names: Names, settings: Settings, bucket: Bucket
) -> None:
    async with looking(connection, bucket) as workers, living(connection, bucket):
        await eventually(lambda: "w-1" in workers.current(), "the worker to be seen")
        await connection.js.delete_stream(bucket.stream)
        await join(connection, names, settings)
        async with living(connection, bucket, replace(FIRST, id="w-2")):
            await eventually(lambda: set(workers.current()) == {"w-1", "w-2"}, "both to be seen")


async def test_what_cannot_be_read_is_left_out(connection: Connection, bucket: Bucket) -> None:
    for key, value in {"a": b"{}", "b": b"\x00", "c": b'{"id": "c"}', "d": b"[1]"}.items():
        await bucket.put(key, value)
    async with living(connection, bucket), looking(connection, bucket) as workers:
        assert list(workers.current()) == ["w-1"]
