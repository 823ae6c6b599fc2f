"""The resuming WebSocket against a server of this file that cuts, repeats and loses on purpose."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from protocol.codec import CODECS, Codec, body_fields
from protocol.events import (
    EventBody,
    JobCancelled,
    JobQueued,
    JobStarted,
    JobSucceeded,
    OutputReady,
    PreviewReady,
    QueueMoved,
    StepFinished,
)
from protocol.frames import pack
from protocol.ids import new_id
from protocol.jobs import JobStatus
from protocol.requests import Priority, TaskName
from safelight import AsyncClient, ConnectionLost, RequestRefused, ServerUnreachable, UnexpectedAnswer
from safelight.client import CodecName

pytestmark = pytest.mark.anyio

AT = "2026-01-01T00:00:00.000Z"
DEADLINE_S = 20.0
CUTS = 50


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["json", "msgpack"])
def codec(request: pytest.FixtureRequest) -> CodecName:
    return request.param  # type: ignore[no-any-return] # pytest does not know what a parameter is


def job_story(job_id: str, steps: int = 12) -> list[dict[str, Any]]:
    """The events of a job that goes well: five facts, and hints between them."""
    story: list[dict[str, Any]] = []
    seq, n = 0, 0

    def tell(body: EventBody, *, is_fact: bool) -> None:
        nonlocal seq, n
        if is_fact:
            seq += 1
            mark: dict[str, Any] = {"cursor": f"{job_id}:{seq}"}
        else:
            n += 1
            mark = {"attempt": 1, "n": n}
        story.append({"type": body.TYPE, "job_id": job_id, "seq": seq, "at": AT, **mark, "data": body_fields(body)})

    tell(JobQueued(task=TaskName.TEST_PATTERN, priority=Priority.NORMAL), is_fact=True)
    for position in (2, 1, 0):
        tell(QueueMoved(position=position), is_fact=False)
    tell(JobStarted(worker="w", device="cpu", attempt=1), is_fact=True)
    for index in range(2):
        for step in range(1, steps + 1):
            tell(StepFinished(image=index, step=step, steps=steps, progress=step / steps), is_fact=False)
            preview = PreviewReady(
                image=index, step=step, width=2, height=2, media_type="image/jpeg", bytes=bytes([step]) * 100
            )
            tell(preview, is_fact=False)
        output = OutputReady(
            index=index, url=f"/v1/jobs/{job_id}/outputs/{index}", media_type="image/png", size_bytes=1, sha256="0"
        )
        tell(output, is_fact=True)
    tell(JobSucceeded(duration_s=1.0), is_fact=True)
    return story


class CuttingServer:
    """Speaks the protocol honestly between its misdeeds; `misbehave` is asked before every frame it sends."""

    def __init__(self) -> None:
        self.stories: dict[str, list[dict[str, Any]]] = {}
        self.keys: dict[str, str] = {}
        self.received: list[dict[str, Any]] = []
        self.sockets = 0
        self.headers: list[Mapping[str, str]] = []
        self.refusals: dict[str, dict[str, Any]] = {}
        self.cuts_left = 0
        self.repeats = False
        self.losses_left = 0
        self.close_with: int | None = None
        self.withhold_replies = 0
        self.hold_end = asyncio.Event()
        self.hold_end.set()
        self._cut: set[uuid.UUID] = set()
        self._random = random.Random(7)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def __aenter__(self) -> "CuttingServer":
        self._server = await serve(
            self._talk, "127.0.0.1", 0, subprotocols=[Subprotocol(name) for name in CODECS], compression=None
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self.hold_end.set()
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    async def stop(self) -> None:
        """Go away in the middle of everything, for good."""
        assert self._server is not None
        for socket in list(self._server.connections):
            socket.transport.abort()
        await self.__aexit__()

    async def _talk(self, socket: ServerConnection) -> None:
        self.sockets += 1
        assert socket.request is not None
        self.headers.append(dict(socket.request.headers))
        if self.close_with is not None:
            code, self.close_with = self.close_with, None
            await socket.close(code)
            return
        codec = CODECS[str(socket.subprotocol)]
        async with asyncio.TaskGroup() as tasks:
            with suppress(ConnectionClosed):
                async for frame in socket:
                    message = codec.decode(frame)
                    self.received.append(message)
                    if message["type"] == "submit":
                        job_id = self._accept(message)
                        await self._reply(socket, codec, message, {"job": self._job(job_id, message)})
                        tasks.create_task(self._tell(socket, codec, job_id, 0))
                    elif message["type"] == "subscribe":
                        if message["job_id"] in self.refusals:
                            error = self.refusals[message["job_id"]]
                            await self._reply(socket, codec, message, {"ok": False, "error": error})
                            continue
                        await self._reply(socket, codec, message, {})
                        tasks.create_task(self._tell(socket, codec, message["job_id"], message["after"]))
                    elif message["type"] == "cancel":
                        await self._cancel(socket, codec, message)

    def _accept(self, message: Mapping[str, Any]) -> str:
        key = message["idempotency_key"]
        if key not in self.keys:
            self.keys[key] = new_id()
            self.stories[self.keys[key]] = job_story(self.keys[key])
        return self.keys[key]

    def _job(self, job_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": job_id, "task": message["job"]["task"], "status": "queued", "seq": 1, "attempt": 1,
            "priority": "normal", "previews": "latest", "params": {}, "created_at": AT,
        }  # fmt: skip

    async def _cancel(self, socket: ServerConnection, codec: Codec, message: Mapping[str, Any]) -> None:
        story = self.stories.get(message["job_id"])
        if story is None or story[-1]["type"] == "job.cancelled":
            code = "not_found" if story is None else "already_ended"
            await self._reply(socket, codec, message, {"ok": False, "error": {"code": code, "message": code}})
            return
        end = JobCancelled(reason="asked")
        story[-1] = {**story[-1], "type": end.TYPE, "data": body_fields(end)}
        await self._reply(socket, codec, message, {})
        self.hold_end.set()

    async def _reply(
        self, socket: ServerConnection, codec: Codec, message: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> None:
        if self.withhold_replies:
            self.withhold_replies -= 1
            socket.transport.abort()
            return
        await self._send(socket, codec, {"type": "reply", "ref": message["ref"], "ok": True, **fields})

    async def _tell(self, socket: ServerConnection, codec: Codec, job_id: str, after: int) -> None:
        story = self.stories[job_id]
        for index in range(len(story)):
            if index == len(story) - 1:
                await self.hold_end.wait()
            event = story[index]
            if event["seq"] < after:
                continue
            is_fact = "n" not in event
            if is_fact and event["seq"] == after:
                continue
            if is_fact and self.losses_left and event["seq"] > 1:
                self.losses_left -= 1
                continue
            await self._send(socket, codec, event)
            if self.repeats and self._random.random() < 0.5:
                await self._send(socket, codec, event)

    async def _send(self, socket: ServerConnection, codec: Codec, message: dict[str, Any]) -> None:
        if self.cuts_left and socket.id not in self._cut and self._random.random() < 0.1:
            self.cuts_left -= 1
            self._cut.add(socket.id)
            socket.transport.abort()
        if codec.messages_are_binary or message["type"] != "preview.ready":
            frame, is_text = codec.encode(message), not codec.messages_are_binary
        else:
            header = {**message, "data": {name: item for name, item in message["data"].items() if name != "bytes"}}
            frame, is_text = pack(codec.encode(header), message["data"]["bytes"]), False
        with suppress(ConnectionClosed):
            await socket.send(frame, text=is_text)
        await asyncio.sleep(0)  # lets the jobs of one socket take turns


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
