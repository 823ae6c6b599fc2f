"""A gateway asks, and the worker that has the job hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.cluster.cancels import Cancels, CancelWatch
from service.cluster.connection import Connection, Unavailable
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.settings import Settings
from tests.cluster.members import eventually, join, running
from tests.nats_servers import NatsServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bucket(connection: Connection, names: Names, settings: Settings) -> Bucket:
    await join(connection, names, settings)
    return Bucket(connection, names.bucket("cancels"))


@asynccontextmanager
async def listening(connection: Connection, bucket: Bucket) -> AsyncIterator[list[tuple[str, str]]]:
    heard: list[tuple[str, str]] = []
    watch = CancelWatch(connection, bucket, lambda job_id, reason: heard.append((job_id, reason)))
    async with running(watch.run()):
        await watch.until_current()
        yield heard


async def test_a_worker_hears_of_a_cancel_with_its_reason(connection: Connection, bucket: Bucket) -> None:
    async with listening(connection, bucket) as heard:
        await Cancels(bucket).ask("j", "nobody wants it, señor")
        await eventually(lambda: heard == [("j", "nobody wants it, señor")], "the cancel")


async def test_a_cancel_asked_twice_keeps_its_first_reason(connection: Connection, bucket: Bucket) -> None:
    cancels = Cancels(bucket)
    await cancels.ask("j", "first")
    await cancels.ask("j", "second")
    assert await cancels.asked("j") == "first"


async def test_who_takes_a_job_up_finds_that_it_is_asked_to_end(connection: Connection, bucket: Bucket) -> None:
    cancels = Cancels(bucket)
    assert await cancels.asked("j") is None
    await cancels.ask("j", "why")
    assert await cancels.asked("j") == "why"
    assert await cancels.asked("other") is None
    await cancels.forget("j")
    assert await cancels.asked("j") is None
    await cancels.forget("never")
    await cancels.ask("j", "again")
    assert await cancels.asked("j") == "again"


async def test_a_worker_that_begins_to_listen_hears_what_was_asked_before_and_is_not_forgotten(
    connection: Connection, bucket: Bucket
) -> None:
    cancels = Cancels(bucket)
    for job_id in ("a", "b", "c"):
        await cancels.ask(job_id, "why")
    await cancels.forget("b")
    async with listening(connection, bucket) as heard:
        assert sorted(heard) == [("a", "why"), ("c", "why")]


async def test_after_a_reconnect_all_that_is_asked_is_heard_again(
    nats: NatsServer, connection: Connection, bucket: Bucket
) -> None:
    cancels = Cancels(bucket)
    await cancels.ask("before", "why")
    async with listening(connection, bucket) as heard:
        nats.kill()
        await eventually(lambda: not connection.is_connected, "the connection to break")
        for outcome in (cancels.ask("x", "why"), cancels.asked("before"), cancels.forget("before")):
            with pytest.raises(Unavailable):
                await outcome
        heard.clear()
        await nats.start_beside()
        await eventually(lambda: ("before", "why") in heard, "what was asked before to be heard again")
        await cancels.ask("after", "why")
        await eventually(lambda: ("after", "why") in heard, "what is asked now to be heard")


async def test_a_cancel_is_heard_after_nats_hung(nats: NatsServer, connection: Connection, bucket: Bucket) -> None:
    async with listening(connection, bucket) as heard:
        nats.freeze()
        await eventually(lambda: not connection.is_connected, "that to be noticed")
        nats.thaw()
        while True:
            try:
                await connection.until_connected()
                await Cancels(bucket).ask("j", "why")
            except Unavailable:  # a connection that was made while it hung breaks once more
                await asyncio.sleep(0.01)
            else:
                break
        await eventually(lambda: ("j", "why") in heard, "the cancel")
