"""A stream is followed in order and without loss, whatever becomes of NATS or of messages on their way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from nats.aio.msg import Msg

from service.cluster.connection import Connection, Unavailable
from service.cluster.follower import Follower, Taken
from service.cluster.names import Names
from service.cluster.streams import ensure
from service.settings import Settings
from tests.cluster.members import eventually, running
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


class Reader:
    """Whom a follower tells."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self.taken: list[Taken] = []
        self.batches = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.is_asked = asyncio.Event()
        self.follower = Follower(connection, names.facts_stream, self._take_in)

    @property
    def told(self) -> list[str]:
        return [message.data.decode() for message in self.taken]

    async def _take_in(self, taken: Sequence[Taken]) -> None:
        self.is_asked.set()
        await self.may_go_on.wait()
        self.taken += taken
        self.batches += 1

    async def until(self, number: int) -> None:
        async with asyncio.timeout(3 * DEADLINE_S):
            await self.follower.reaches(number)


class Stream:
    """Where it is written, and who reads."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self.connection = connection
        self.names = names
        self.count = 0

    async def add(self, count: int = 1, *, job: str = "j", size: int = 0) -> list[str]:
        """Add messages that say their numbers."""
        added = [f"{self.count + number}" for number in range(1, count + 1)]
        self.count += count
        pending = [
            await self.connection.js.publish_async(self.names.fact(job), text.encode().ljust(size, b" "))
            for text in added
        ]
        async with asyncio.timeout(3 * DEADLINE_S):
            await asyncio.gather(*pending)
        return added

    @asynccontextmanager
    async def reader(self, *, position: int = 0) -> AsyncIterator[Reader]:
        reader = Reader(self.connection, self.names)
        reader.follower.position = position
        async with running(reader.follower.run()):
            yield reader


@pytest.fixture
async def stream(connection: Connection, names: Names, settings: Settings) -> Stream:
    await ensure(connection, names, settings)
    return Stream(connection, names)


def numbers(last: int, first: int = 1) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


async def test_what_is_there_comes_first_and_then_what_is_added_all_in_order(stream: Stream) -> None:
    await stream.add(30)
    async with stream.reader() as reader:
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.follower.catch_up() == 30
        assert reader.told == numbers(30)
        await stream.add(30)
        await reader.until(60)
        assert reader.told == numbers(60)
        assert [message.number for message in reader.taken] == list(range(1, 61))
        assert {message.subject for message in reader.taken} == {stream.names.fact("j")}


async def test_it_goes_on_behind_the_position_it_is_given(stream: Stream) -> None:
    await stream.add(10)
    async with stream.reader(position=7) as reader:
        await reader.until(10)
        assert reader.told == ["8", "9", "10"]


async def test_an_empty_stream_is_caught_up_with_at_once(stream: Stream) -> None:
    async with stream.reader() as reader, asyncio.timeout(DEADLINE_S):
        assert await reader.follower.catch_up() == 0


async def test_messages_that_were_removed_leave_gaps_that_nobody_waits_for(stream: Stream) -> None:
    await stream.add(3, job="gone")
    await stream.add(3)
    await stream.add(3, job="gone")
    await stream.connection.js.purge_stream(stream.names.facts_stream, subject=stream.names.fact("gone"))
    async with stream.reader() as reader:
        async with asyncio.timeout(DEADLINE_S):
            assert await reader.follower.catch_up() == 6
        assert reader.told == ["4", "5", "6"]
        await stream.add()
        await reader.until(10)
        assert reader.told == ["4", "5", "6", "10"]


async def test_a_last_message_that_is_removed_while_it_is_caught_up_with_is_not_waited_for(stream: Stream) -> None:
    await stream.add(3)
    await stream.add(1, job="gone")
    reader = Reader(stream.connection, stream.names)
    reader.follower.position = 3
    catching_up = asyncio.create_task(reader.follower.catch_up())
    while not reader.follower._moved._waiters:  # type: ignore[attr-defined] # it has asked how far to go
        await asyncio.sleep(0.005)
    await stream.connection.js.purge_stream(stream.names.facts_stream, subject=stream.names.fact("gone"))
    async with running(reader.follower.run()), asyncio.timeout(DEADLINE_S):
        assert await catching_up == 3


async def test_a_message_that_does_not_arrive_is_fetched_and_nothing_overtakes_it(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[bytes] = []
    subscribe = stream.connection.nats.subscribe

    async def losing(inbox: str, *, cb: Callable[[Msg], Any], **more: Any) -> Any:
        async def pass_on(message: Msg) -> None:
            if message.data in {b"5", b"20"} and message.data not in lost:  # one in the middle, and the last one
                lost.append(message.data)
            else:
                await cb(message)

        return await subscribe(inbox, cb=pass_on, **more)

    monkeypatch.setattr(stream.connection.nats, "subscribe", losing)
    async with stream.reader() as reader:
        await stream.add(10)
        await reader.until(10)
        await stream.add(10)
        await reader.until(20)
        assert lost == [b"5", b"20"]
        assert reader.told == numbers(20)


async def test_nothing_is_lost_or_doubled_when_nats_is_killed(stream: Stream, nats: NatsServer) -> None:
    async with stream.reader() as reader:
        await stream.add(50)
        reader.may_go_on.clear()
        await stream.add(50)
        nats.kill()
        await eventually(lambda: not stream.connection.is_connected, "it to see that")
        with pytest.raises(Unavailable):
            await reader.follower.catch_up()
        reader.may_go_on.set()
        await nats.start_beside()
        async with asyncio.timeout(DEADLINE_S):
            await stream.connection.until_connected()
        await stream.add(50)
        await reader.until(150)
        assert reader.told == numbers(150)


async def test_a_consumer_that_nats_forgets_is_made_again(stream: Stream) -> None:
    async with stream.reader() as reader:
        await stream.add(5)
        await reader.until(5)
        for consumer in await stream.connection.js.consumers_info(stream.names.facts_stream):
            await stream.connection.js.delete_consumer(stream.names.facts_stream, consumer.name)
        await stream.add(5)
        await reader.until(10)
        assert reader.told == numbers(10)


async def test_twenty_thousand_facts_come_in_order_and_in_batches(stream: Stream) -> None:
    await stream.add(20_000)
    async with stream.reader() as reader:
        await reader.until(20_000)
        assert reader.told == numbers(20_000)
        assert reader.batches < 10_000


async def test_nats_waits_for_a_reader_that_takes_its_time(stream: Stream) -> None:
    await stream.add(1_200, size=64 << 10)
    async with stream.reader() as reader:
        reader.may_go_on.clear()
        async with asyncio.timeout(DEADLINE_S):
            await reader.is_asked.wait()
        await stream.connection.nats.flush()
        arrived = -1
        while arrived != (arrived := reader.follower.backlog):
            await stream.connection.nats.flush()  # what NATS has sent before its answer is here by now
        assert arrived < 1_000, "all of it is in our memory"
        reader.may_go_on.set()
        await reader.until(1_200)
        assert [text.rstrip() for text in reader.told] == numbers(1_200)


async def test_a_reader_that_fails_ends_the_following(stream: Stream) -> None:
    async def fails(_taken: Sequence[Taken]) -> None:
        raise ZeroDivisionError

    await stream.add()
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(DEADLINE_S):
            await Follower(stream.connection, stream.names.facts_stream, fails).run()
    assert await stream.connection.js.consumers_info(stream.names.facts_stream) == []
