"""The client against the real server, over each of its transports."""

import asyncio
import io
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from protocol.events import PreviewReady
from protocol.jobs import JobStatus
from safelight import AsyncClient, Client, JobCancelled, JobFailed, RequestRefused
from safelight.client import CodecName
from safelight.picture import INLINE_BYTES
from tests.integration.cutting_proxy import CuttingProxy
from tests.servers import DEADLINE_S, ThreadServer, thread_server

pytestmark = pytest.mark.anyio
Transport = Literal["websocket", "sse", "poll"]
CUTS = 50


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["websocket", "sse", "poll"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param  # type: ignore[no-any-return] # pytest does not know what a parameter is


def noise(side: int) -> bytes:
    """A PNG that cannot be made small."""
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 100).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


async def test_a_job_is_watched_from_its_first_fact_to_its_output(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        job = await client.submit("test_pattern", steps=4, step_ms=20, previews="all", width=64, height=48)
        events = [event async for event in job.events()]
        (output,) = await job.result()
        with Image.open(io.BytesIO(await output.read())) as picture:
            assert picture.size == (64, 48) == (output.width, output.height)
    facts = [event for event in events if event.is_fact]
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert [fact.type for fact in facts] == ["job.queued", "job.started", "output.ready", "job.succeeded"]
    assert "step.finished" in {event.type for event in events}
    previews = [event.body for event in events if isinstance(event.body, PreviewReady)]
    assert previews
    assert all(preview.bytes[:2] == b"\xff\xd8" for preview in previews)


@pytest.mark.parametrize(
    ("transport", "codec"), [("websocket", "json"), ("websocket", "msgpack"), ("sse", "json"), ("poll", "json")]
)
async def test_cut_off_fifty_times_on_the_way_no_fact_is_lost_or_repeated_and_no_job_is_doubled(
    server: ThreadServer, transport: Transport, codec: CodecName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safelight.backoff.FIRST_DELAY_S", 0.01)
    submitted = 0

    async def follow(client: AsyncClient) -> list[str]:
        nonlocal submitted
        submitted += 1
        job = await client.submit("test_pattern", steps=8, step_ms=2, images=3, width=16, height=16)
        facts = [event async for event in job.events() if event.is_fact]
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
        assert (await job.wait()).status is JobStatus.SUCCEEDED
        return [fact.type for fact in facts]

    async with (
        asyncio.timeout(6 * DEADLINE_S),
        CuttingProxy(server.port, cuts=CUTS, after_bytes=3000) as proxy,
        AsyncClient(proxy.url, codec=codec, transport=transport) as client,
    ):
        await client.health()
        while proxy.cuts_left:
            told = await asyncio.gather(*(follow(client) for _ in range(3)))
            assert told == [["job.queued", "job.started", *["output.ready"] * 3, "job.succeeded"]] * 3
    async with AsyncClient(server.url) as client:
        assert len([job async for job in client.jobs()]) == submitted


async def test_a_failed_job_raises_what_the_server_said(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        with pytest.raises(JobFailed, match="fail_at_step") as failure:
            await client.run("test_pattern", fail_at_step=1)
    assert failure.value.code == "step_failed"
    assert failure.value.job.status is JobStatus.FAILED


async def test_cancelling_ends_the_job_and_cancelling_again_says_so(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        job = await client.submit("test_pattern", steps=1000, step_ms=10)
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job.result()
        with pytest.raises(RequestRefused) as refusal:
            await job.cancel()
    assert (refusal.value.code, refusal.value.status) == ("already_ended", 409)


async def test_a_refused_request_names_the_field(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        with pytest.raises(RequestRefused, match="image") as refusal:
            await client.submit("upscale", image="data:image/png;base64,AAAA")
    assert refusal.value.code == "bad_image"


async def test_large_pictures_go_up_first_and_outputs_feed_the_next_job(server: ThreadServer, tmp_path: Path) -> None:
    large = noise(400)
    assert len(large) > INLINE_BYTES
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        (first,) = await client.run("upscale", image=large, factor=1.5)
        (second,) = await client.run("erase", image=first, regions=[(5, 5, 10, 10)])
        path = await second.save(tmp_path)
    with Image.open(path) as picture:
        assert picture.size == (600, 600)


async def test_the_same_idempotency_key_gives_the_same_job(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        jobs = [await client.submit("test_pattern", idempotency_key="k", steps=2) for _ in range(2)]
        assert jobs[0].id == jobs[1].id
        assert [await job.wait() for job in jobs][1].status is JobStatus.SUCCEEDED
        with pytest.raises(RequestRefused) as refusal:
            await client.submit("test_pattern", idempotency_key="k", steps=3)
    assert refusal.value.code == "idempotency_mismatch"


async def test_jobs_are_listed_over_pages_newest_first(server: ThreadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safelight.client._PAGE", 2)
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        ids = [(await client.submit("test_pattern", steps=0)).id for _ in range(5)]
        assert [job.id async for job in client.jobs()] == ids[::-1]
        assert [job.id async for job in client.jobs(limit=3)] == ids[:1:-1]
        assert [job.id async for job in client.jobs(task="upscale")] == []
        either = client.jobs(status=("queued", JobStatus.RUNNING, "succeeded"), task=["test_pattern", "erase"])
        assert [job.id async for job in either] == ids[::-1]
        assert [job.id async for job in client.jobs(search="apple", label=("of", "nobody"))] == []


async def test_a_found_job_is_watched_from_its_beginning(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        job = await client.submit("test_pattern")
        await job.wait()
        found = await client.get(job.id)
        assert found.status is JobStatus.SUCCEEDED
        assert [event.seq async for event in found.events() if event.is_fact] == [1, 2, 3, 4]
        assert len(await found.result()) == 1


async def test_watching_all_ones_jobs_goes_on_from_its_cursor(server: ThreadServer) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        seen = []
        await (await client.submit("test_pattern", steps=0)).wait()
        watching = client.watch_mine()
        first_event = asyncio.create_task(anext(watching))
        job = None
        while not first_event.done():  # the subscription begins some time after the first `anext`
            job = await client.submit("test_pattern", steps=0)
            await job.wait()
            await asyncio.wait([first_event], timeout=0.05)
        first = await first_event
        await watching.aclose()
        last = await client.submit("test_pattern", steps=0)
        async for event in client.watch_mine(first.cursor):
            assert (event.job_id, event.seq) != (first.job_id, first.seq)
            seen.append(event)
            if event.job_id == last.id and event.is_terminal:
                break
    seqs = [event.seq for event in seen if event.job_id == last.id and event.is_fact]
    assert seqs == [1, 2, 3, 4]


async def test_without_a_key_a_server_that_wants_one_says_so(tmp_path: Path, transport: Transport) -> None:
    with thread_server(tmp_path, api={"keys": ["secret"]}) as server:
        async with asyncio.timeout(DEADLINE_S):
            async with AsyncClient(server.url, transport=transport) as client:
                with pytest.raises(RequestRefused) as refusal:
                    await client.submit("test_pattern")
            assert refusal.value.code == "unauthorized"
            async with AsyncClient(server.url, "secret", transport=transport) as client:
                assert len(await client.run("test_pattern", steps=1)) == 1


async def test_health_and_models_are_told(server: ThreadServer) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        assert (await client.health()).is_ready
        for model in await client.models():
            assert model.name
            assert model.licence


def test_the_blocking_client_does_the_same(server: ThreadServer, tmp_path: Path) -> None:
    told = []
    with Client(server.url) as client:
        (output,) = client.run("test_pattern", steps=2, on_event=told.append)
        assert output.save(tmp_path / "a.png").read_bytes() == output.read()
        job = client.submit("test_pattern", steps=1)
        assert [event.seq for event in job.events() if event.is_fact] == [1, 2, 3, 4]
        assert (job.status, job.wait().status) == (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED)
        assert [found.id for found in client.jobs(limit=1)] == [job.id]
        with pytest.raises(JobFailed):
            client.submit("test_pattern", fail_at_step=1).result()
        events = client.watch_mine()
        events.close()  # type: ignore[attr-defined] # it is a generator
    assert told[-1].type == "job.succeeded"
