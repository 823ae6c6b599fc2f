"""What the clients do with the models of a real server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from protocol.events import ModelLoaded, ModelUnloaded
from protocol.jobs import JobStatus
from protocol.models import ModelDownloadState, ModelInfo
from safelight import AsyncClient, Client, DownloadFailed, RequestRefused
from tests.integration.model_origin import Origin, serving
from tests.servers import DEADLINE_S, ThreadServer, thread_server
from tests.unit.engine.library.model_files import LORA_SD1, SD1, content, write

pytestmark = pytest.mark.anyio
LARGE = content({**LORA_SD1, "filling": (4 << 20,)})
Transport = Literal["websocket", "poll"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["websocket", "poll"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param  # type: ignore[no-any-return] # pytest does not know what a parameter is


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with serving(Origin(LARGE)) as made:
        yield made


@pytest.fixture
async def server(tmp_path: Path, origin: Origin) -> AsyncIterator[ThreadServer]:
    settings = {"allow_private_urls": True, "fetch_ports": (origin.port,), "models_dir": tmp_path / "models"}
    running = thread_server(tmp_path / "data", **settings)
    made = await asyncio.to_thread(running.__enter__)
    yield made
    await asyncio.to_thread(running.__exit__, None, None, None)


def here(origin: Origin) -> str:
    return f"http://127.0.0.1:{origin.port}/ink.safetensors"


async def test_a_model_is_loaded_seen_in_memory_and_unloaded(server: ThreadServer, transport: Transport) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        job = await client.load_model("fake")
        assert (await job.wait()).status is JobStatus.SUCCEEDED
        assert await job.result() == []
        (model,) = await client.models(kind="checkpoint")
        assert (model.id, model.is_loaded) == ("checkpoint:fake", True)
        assert await client.models(kind="checkpoint", task="erase") == []
        assert (await client.unload_model("checkpoint:fake")).name == "fake"
        for ask in (client.model, client.load_model, client.unload_model):
            with pytest.raises(RequestRefused) as refusal:
                await ask("nowhere")
            assert refusal.value.code == "not_found"


async def test_a_repeated_load_with_one_key_is_one_job(server: ThreadServer) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        first, again = [await client.load_model("fake", idempotency_key="a") for _ in range(2)]
        assert first.id == again.id


async def test_what_the_server_tells_of_itself_can_be_watched(server: ThreadServer) -> None:
    async with asyncio.timeout(DEADLINE_S), AsyncClient(server.url) as client:
        news = client.watch_server()
        first = asyncio.create_task(anext(news))
        job = None
        while not first.done():
            # Whoever watches has to be there first; nobody is told when that is.
            job = await client.load_model("fake")
            await job.wait()
            await client.unload_model("fake")
        told = [(await first).body]
        while not isinstance(told[-1], ModelUnloaded):
            told.append((await anext(news)).body)
        await news.aclose()
    assert {getattr(body, "model", None) for body in told} == {"checkpoint:fake"}
    assert ModelLoaded in {type(body) for body in told} or isinstance(told[0], ModelUnloaded)


async def test_a_download_is_waited_for_and_told_of_and_cut_connections_do_no_harm(
    server: ThreadServer, origin: Origin, transport: Transport, tmp_path: Path
) -> None:
    origin.cuts = [2_000_000]
    told: list[ModelDownloadState] = []
    async with asyncio.timeout(3 * DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        model = await client.download_model(here(origin), "lora", on_progress=told.append)
        assert (model.id, model.is_present, model.family) == ("lora:ink", True, "sd1")
    assert (tmp_path / "models" / "loras" / "ink.safetensors").read_bytes() == LARGE
    done = [state.done_bytes for state in told]
    assert done == sorted(done)
    assert {state.total_bytes for state in told} <= {None, len(LARGE)}


async def test_a_download_that_comes_to_nothing_says_why(
    server: ThreadServer, origin: Origin, transport: Transport
) -> None:
    origin.body = content(SD1)
    async with asyncio.timeout(3 * DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
        with pytest.raises(DownloadFailed, match="of the kind checkpoint, not lora") as failure:
            await client.download_model(here(origin), "lora")
        assert failure.value.model == "lora:ink"
        with pytest.raises(RequestRefused) as refusal:
            await client.download_model("http://127.0.0.1/ink.ckpt", "lora")
        assert refusal.value.field == "$.sha256"


@pytest.mark.parametrize("arrived", ["keep", "discard"])
async def test_who_waits_for_a_download_that_another_cancels_is_told(
    server: ThreadServer, origin: Origin, transport: Transport, arrived: str, tmp_path: Path
) -> None:
    origin.gate, origin.cuts = asyncio.Event(), [3_000_000]
    begun: asyncio.Future[ModelInfo] = asyncio.get_running_loop().create_future()
    async with (
        asyncio.timeout(3 * DEADLINE_S),
        AsyncClient(server.url, transport=transport) as client,
        AsyncClient(server.url) as other,
    ):
        waiting = asyncio.create_task(client.download_model(here(origin), "lora", on_begun=begun.set_result))
        assert (await begun).id == "lora:ink"
        left = await other.cancel_download("ink", arrived=arrived)
        assert left.download is not None
        with pytest.raises(DownloadFailed, match="cancelled") as failure:
            await waiting
        assert failure.value.model == "lora:ink"
        if arrived == "keep":
            assert (await other.model("ink")).download == left.download
        else:
            with pytest.raises(RequestRefused, match="not_found"):
                await other.model("ink")
            assert not list((tmp_path / "models" / "loras").glob("ink*"))
        with pytest.raises(RequestRefused, match="already_ended"):
            await other.cancel_download("fake")
        with pytest.raises(ValueError, match="burn"):
            await other.cancel_download("ink", arrived="burn")


async def test_without_a_server_a_download_says_so(origin: Origin) -> None:
    from safelight import ServerUnreachable
    from tests.servers import free_port

    async with asyncio.timeout(DEADLINE_S), AsyncClient(f"127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerUnreachable):
            await client.download_model(here(origin), "lora")


def test_the_blocking_client_does_the_same(tmp_path: Path) -> None:
    write(tmp_path / "models" / "ink.safetensors", LORA_SD1)
    with thread_server(tmp_path / "data", models_dir=tmp_path / "models") as server, Client(server.url) as client:
        job = client.load_model("fake")
        assert job.wait().status is JobStatus.SUCCEEDED
        assert client.model("fake").is_loaded
        assert [model.id for model in client.models(kind="lora")] == ["lora:ink"]
        assert client.unload_model("fake").id == "checkpoint:fake"
        assert client.hash_model("ink").sha256 == client.model("ink").sha256 is not None
        with pytest.raises(DownloadFailed, match="no public address"):
            client.download_model("http://127.0.0.1/a.safetensors", "lora")
        client.cancel_download("a", arrived="discard")
        with pytest.raises(RequestRefused, match="not_found"):
            client.cancel_download("a")
        news = client.watch_server()
        news.close()  # type: ignore[attr-defined] # it is a generator
