"""The resuming WebSocket against a server that cuts, repeats and loses on purpose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocol.events import PreviewReady
from protocol.ids import new_id
from protocol.jobs import JobStatus
from safelight import AsyncClient, ConnectionLost, RequestRefused, ServerUnreachable, UnexpectedAnswer
from safelight.client import CodecName
from tests.integration.cutting_server import CuttingServer, job_story

pytestmark = pytest.mark.anyio

DEADLINE_S = 20.0
CUTS = 50


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["json", "msgpack"])
def codec(request: pytest.FixtureRequest) -> CodecName:
    return request.param  # type: ignore[no-any-return] # pytest does not know what a parameter is


@pytest.fixture
async def server() -> AsyncIterator[CuttingServer]:
    async with CuttingServer() as running:
        yield running


@asynccontextmanager
async def connected(server: CuttingServer, codec: CodecName = "msgpack", **options: Any) -> AsyncIterator[AsyncClient]:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, codec=codec, **options) as client:
        yield client


async def facts_of(client: AsyncClient, **params: Any) -> list[int]:
    job = await client.submit("test_pattern", **params)
    return [event.seq async for event in job.events() if event.is_fact]


async def test_a_client_cut_off_fifty_times_sees_every_fact_once_and_in_order(
    server: CuttingServer, codec: CodecName
) -> None:
    server.cuts_left = CUTS
    async with connected(server, codec) as client:
        while server.cuts_left:
            seen = await asyncio.gather(*(facts_of(client) for _ in range(4)))
            assert seen == [[1, 2, 3, 4, 5]] * 4
    assert server.sockets > CUTS


async def test_a_submit_cut_off_before_its_reply_makes_one_job(server: CuttingServer, codec: CodecName) -> None:
    async with connected(server, codec) as client:
        await facts_of(client)
        server.withhold_replies = 3
        assert await facts_of(client) == [1, 2, 3, 4, 5]
    assert len(server.stories) == 2
    assert len([message for message in server.received if message["type"] == "submit"]) == 5


async def test_a_submit_to_a_server_that_is_stopping_is_sent_again_to_the_next(server: CuttingServer) -> None:
    server.drains_left = 1
    async with connected(server) as client:
        await facts_of(client)
        server.drains_left = 2
        assert await facts_of(client) == [1, 2, 3, 4, 5]
    assert (len(server.stories), server.sockets) == (2, 4)


async def test_events_that_come_twice_are_delivered_once(server: CuttingServer, codec: CodecName) -> None:
    server.repeats = True
    async with connected(server, codec) as client:
        job = await client.submit("test_pattern")
        events = [event async for event in job.events()]
    assert len(events) == len(set(events))
    assert [event.seq for event in events if event.is_fact] == [1, 2, 3, 4, 5]


async def test_a_lost_fact_is_fetched_before_anything_after_it_is_delivered(
    server: CuttingServer, codec: CodecName
) -> None:
    server.losses_left = 3
    async with connected(server, codec) as client:
        assert await facts_of(client) == [1, 2, 3, 4, 5]
    assert server.losses_left == 0
    assert server.sockets > 1


async def test_events_keep_their_order_and_previews_their_bytes(server: CuttingServer, codec: CodecName) -> None:
    async with connected(server, codec) as client:
        job = await client.submit("test_pattern")
        places = []
        async for event in job.events():
            places.append((event.seq, event.n or 0))
            if isinstance(event.body, PreviewReady):
                assert event.body.bytes == bytes([event.body.step]) * 100
    assert places == sorted(places)


async def test_a_reader_that_comes_late_gets_all_facts_and_only_the_newest_hints(server: CuttingServer) -> None:
    async with connected(server) as client:
        job = await client.submit("test_pattern")
        await job.wait()
        events = [event async for event in job.events()]
    assert [event.seq for event in events if event.is_fact] == [1, 2, 3, 4, 5]
    hints = [event.type for event in events if not event.is_fact]
    assert sorted(hints) == ["preview.ready", "queue.moved", "step.finished"]


async def test_two_readers_of_one_job_see_the_same_facts(server: CuttingServer) -> None:
    async with connected(server) as client:
        job = await client.submit("test_pattern")

        async def read(after: int) -> list[int]:
            return [event.seq async for event in job.events(after) if event.is_fact]

        assert await asyncio.gather(read(0), read(2)) == [[1, 2, 3, 4, 5], [3, 4, 5]]


async def test_the_state_follows_the_events(server: CuttingServer) -> None:
    server.hold_end.clear()
    async with connected(server) as client:
        job = await client.submit("test_pattern")
        async for event in job.events():
            if event.seq == 4 and event.is_fact:
                assert job.status is JobStatus.RUNNING
                assert len(job.outputs) == 2
                server.hold_end.set()
        assert (await job.wait()).status is JobStatus.SUCCEEDED


async def test_one_socket_carries_many_jobs(server: CuttingServer) -> None:
    async with connected(server) as client:
        await asyncio.gather(*(facts_of(client) for _ in range(30)))
    assert server.sockets == 1


async def test_cancelling_is_told_by_the_event(server: CuttingServer, codec: CodecName) -> None:
    server.hold_end.clear()
    async with connected(server, codec) as client:
        job = await client.submit("test_pattern")
        await job.cancel()
        assert (await job.wait()).status is JobStatus.CANCELLED
        with pytest.raises(RequestRefused) as refusal:
            await job.cancel()
    assert (refusal.value.code, refusal.value.status) == ("already_ended", 409)


async def test_a_cancel_whose_reply_was_cut_off_is_no_error(server: CuttingServer) -> None:
    server.hold_end.clear()
    async with connected(server) as client:
        job = await client.submit("test_pattern")
        server.withhold_replies = 1
        await job.cancel()
        assert (await job.wait()).status is JobStatus.CANCELLED


@pytest.mark.parametrize("close_code", [1001, 1011, 1012, 4408])
async def test_a_close_code_that_allows_it_makes_the_client_come_back(server: CuttingServer, close_code: int) -> None:
    async with connected(server) as client:
        server.close_with = close_code
        assert await facts_of(client) == [1, 2, 3, 4, 5]
    assert server.sockets == 2


@pytest.mark.parametrize(
    ("close_code", "code"), [(1008, "forbidden"), (4400, "malformed"), (4401, "unauthorized"), (4406, "not_acceptable")]
)
async def test_a_close_code_that_refuses_is_told_and_not_tried_again(
    server: CuttingServer, close_code: int, code: str
) -> None:
    async with connected(server) as client:
        server.close_with = close_code
        with pytest.raises(RequestRefused) as refusal:
            await client.submit("test_pattern")
    assert refusal.value.code == code
    assert server.sockets == 1


async def test_the_key_is_sent_with_the_handshake(server: CuttingServer) -> None:
    async with connected(server, api_key="secret") as client:
        await facts_of(client)
    assert server.headers[0]["authorization"] == "Bearer secret"


async def test_nobody_there_is_told_at_once() -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient("http://127.0.0.1:9") as client:
        with pytest.raises(ServerUnreachable, match="safelight serve"):
            await client.submit("test_pattern")


async def test_a_server_that_stays_away_ends_the_patience_of_everyone_who_waits(server: CuttingServer) -> None:
    server.hold_end.clear()
    states = []
    async with connected(
        server, patience_s=0.3, on_connection=lambda state, reason: states.append(str(state))
    ) as client:
        jobs = [await client.submit("test_pattern") for _ in range(2)]
        await server.stop()
        for job in jobs:
            with pytest.raises(ConnectionLost):
                await job.wait()
    assert states[0] == "connected"
    assert "lost" in states


async def test_a_job_that_does_not_exist_is_refused_without_harm_to_the_others(server: CuttingServer) -> None:
    missing = new_id()
    server.refusals[missing] = {"code": "not_found", "message": "no such job"}
    async with connected(server) as client:
        job = await client.submit("test_pattern")
        feed = client._transport.watch(missing)
        with pytest.raises(RequestRefused, match="no such job"):
            await feed.wait()
        assert (await job.wait()).status is JobStatus.SUCCEEDED


async def test_an_event_type_of_a_newer_server_does_no_harm(server: CuttingServer, codec: CodecName) -> None:
    async with connected(server, codec) as client:
        key = "newer"
        server.keys[key] = job_id = new_id()
        story = job_story(job_id)
        server.stories[job_id] = story
        story[1] = {**story[1], "type": "queue.sang", "data": {"song": "la"}}
        started = next(index for index, event in enumerate(story) if event["type"] == "job.started")
        story[started] = {**story[started], "type": "job.blessed", "data": {}}
        job = await client.submit("test_pattern", idempotency_key=key)
        assert [event.seq async for event in job.events() if event.is_fact] == [1, 3, 4, 5]


async def test_an_http_server_of_another_kind_is_told_as_such() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other, asyncio.timeout(DEADLINE_S):
        port = other.sockets[0].getsockname()[1]
        async with AsyncClient(f"127.0.0.1:{port}") as client:
            with pytest.raises(UnexpectedAnswer, match="is it a Safelight server"):
                await client.submit("test_pattern")
