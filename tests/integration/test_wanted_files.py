"""Files a job needs, from a real HTTP server on this machine: brought once, checked, resumed, and waited for aside."""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from PIL import Image

from engine.interface.downloads import Coming, DownloadFailed, WantedFile
from protocol.events import EventBody, ModelAdded, ModelFailed, ModelLoading
from service.settings import Settings
from service.wanted_files import WantedFiles
from tests.integration.model_origin import Origin, serving
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until
from tests.unit.engine.inpainting.stand_ins import QuarterGrey, save_script

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 16_384
MODEL = "eraser:fcf"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def md5_of(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


class Brought:
    """`WantedFiles` into a folder, and what it told."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        chosen = {"allow_private_urls": True, "fetch_ports": (port,), "models_dir": folder, **settings}
        self.folder = folder
        self.told: list[EventBody] = []
        self.arriving = asyncio.Event()
        """Some of a file has come."""
        self.files = WantedFiles(
            Settings.model_validate({**Settings().model_dump(), **chosen}),
            self._hear,
            resolve=here,
            delays_s=(0.0, 0.0),
        )

    def file(self, origin: Origin, name: str = "net.pth", md5: str | None = None) -> WantedFile:
        checksum = md5_of(origin.body) if md5 is None else md5
        return WantedFile(url=origin.url(name), target=self.folder / name, md5=checksum, size_bytes=1000)

    def _hear(self, body: EventBody) -> None:
        self.told.append(body)
        if isinstance(body, ModelLoading) and body.phase == "download" and body.done:
            self.arriving.set()

    def begin(self, *files: WantedFile) -> Coming:
        return self.files.begin(MODEL, files)


async def end(coming: Coming) -> None:
    assert await asyncio.to_thread(coming.wait, DEADLINE_S)


@asynccontextmanager
async def bringing(folder: Path, origin: Origin, **settings: Any) -> AsyncIterator[Brought]:
    made = Brought(folder, origin.port, **settings)
    running = asyncio.create_task(made.files.run())
    await made.files.begun.wait()
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_files_arrive_whole_and_are_told_as_one(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        await end(at.begin(at.file(origin, "a.pt"), at.file(origin, "b.pt")))
        assert {path.name for path in tmp_path.iterdir()} == {"a.pt", "b.pt"}
        assert (tmp_path / "b.pt").read_bytes() == BODY
    progress = [body for body in at.told if isinstance(body, ModelLoading) and body.phase == "download"]
    assert [body.done for body in progress] == sorted(body.done for body in progress)
    assert progress[-1].done == progress[-1].total == 2 * len(BODY)
    assert {body.model for body in progress} == {MODEL}
    assert at.told[-1] == ModelAdded(model=MODEL, size_bytes=2 * len(BODY))


async def test_a_connection_that_breaks_goes_on_where_it_broke(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        origin.cuts = [2_000_000]
        await end(at.begin(at.file(origin)))
        assert (tmp_path / "net.pth").read_bytes() == BODY
    assert [bool(asked) for asked in origin.ranges] == [False, True]


async def test_file_with_another_checksum_is_not_kept(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        with pytest.raises(DownloadFailed, match=f"its MD5 is {md5_of(BODY)}, expected {'0' * 32}"):
            await end(at.begin(at.file(origin, md5="0" * 32)))
        assert list(tmp_path.iterdir()) == []
    assert isinstance(at.told[-1], ModelFailed)


async def test_a_checksum_set_to_nothing_takes_what_comes(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        await end(at.begin(at.file(origin, md5="")))
        assert (tmp_path / "net.pth").read_bytes() == BODY


async def test_jobs_that_want_the_same_share_one_download(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        origin.gate, origin.tells_length = asyncio.Event(), False
        first, second = at.begin(at.file(origin)), at.begin(at.file(origin))
        await origin.asked(1)
        assert not await asyncio.to_thread(second.wait, 0.01)
        origin.gate.set()
        await end(first)
        await end(second)
        assert len(origin.requests) == 1


async def test_a_few_are_brought_at_once_and_others_wait_their_turn(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        origin.gate, origin.tells_length = asyncio.Event(), False
        coming = [at.files.begin(f"eraser:{name}", [at.file(origin, f"{name}.pth")]) for name in "abcdef"]
        async with asyncio.timeout(DEADLINE_S):
            await origin.asked(4)
            await at.arriving.wait()
        assert len(origin.requests) == 4
        origin.gate.set()
        for each in coming:
            await end(each)
        assert len(origin.requests) == 6
    assert sum(isinstance(body, ModelAdded) for body in at.told) == 6


async def test_one_that_failed_is_tried_again_when_it_is_wanted_again(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin) as at:
        origin.status = 404
        with pytest.raises(DownloadFailed, match="404"):
            await end(at.begin(at.file(origin)))
        origin.status = None
        await end(at.begin(at.file(origin)))
        assert (tmp_path / "net.pth").read_bytes() == BODY


async def test_a_server_that_was_told_not_to_downloads_nothing(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin, allow_model_downloads=False) as at:
        with pytest.raises(DownloadFailed, match="allow_model_downloads"):
            await end(at.begin(at.file(origin)))
        assert origin.requests == []


async def test_addresses_inside_the_operators_network_are_not_asked(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin, bringing(tmp_path, origin, allow_private_urls=False) as at:
        with pytest.raises(DownloadFailed, match="no public address"):
            await end(at.begin(at.file(origin)))
        assert origin.requests == []


async def test_a_server_that_stops_tells_those_who_wait_and_keeps_what_has_arrived(tmp_path: Path) -> None:
    async with serving(Origin(BODY)) as origin:
        async with bringing(tmp_path, origin) as at:
            origin.gate, origin.tells_length = asyncio.Event(), False
            coming = at.begin(at.file(origin))
            await origin.asked(1)
            await at.arriving.wait()
        with pytest.raises(DownloadFailed, match="stopping"):
            await end(coming)
        with pytest.raises(DownloadFailed, match="stopping"):
            await end(at.begin(at.file(origin)))
    assert not (tmp_path / "net.pth").exists()
    assert (tmp_path / "net.pth.part").stat().st_size > 0


# ---- a whole server ----------------------------------------------------------------------------------------------


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own."""
    with start_blocking_portal("asyncio") as made:
        yield made


@pytest.fixture
def origin(portal: BlockingPortal) -> Iterator[Origin]:
    """A server of one file, for tests that block."""
    with portal.wrap_async_context_manager(serving(Origin(b""))) as made:
        yield made


@pytest.fixture
def server(tmp_path: Path, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadServer]:
    """With MI-GAN published at `origin`, as a small network that paints in grey."""
    script = save_script(QuarterGrey(), tmp_path / "published.pt")
    origin.body = script.read_bytes()
    monkeypatch.setenv("MIGAN_MODEL_URL", f"http://127.0.0.1:{origin.port}/migan_traced.pt")
    monkeypatch.setenv("MIGAN_MODEL_MD5", md5_of(origin.body))
    options = {"allow_private_urls": True, "fetch_ports": (origin.port,), "models_dir": tmp_path / "models"}
    with thread_server(tmp_path / "data", engine="torch", **options) as started:
        until(lambda: started.services.engine.state().status == "ready", "the engine")
        yield started


def picture(values: Any, mode: str) -> str:
    content = io.BytesIO()
    Image.fromarray(values, mode).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def erase(http: httpx.Client, model: str, wait_s: float = 3 * DEADLINE_S) -> dict[str, Any]:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    image = np.full((64, 64, 3), 30, np.uint8)
    params = {"image": picture(image, "RGB"), "mask": picture(mask, "L"), "model": model, "grow_px": 0, "feather_px": 0}
    headers = {"Prefer": f"wait={wait_s:g}"} if wait_s else {}
    answer = http.post("/v1/jobs", json={"task": "erase", "params": params}, headers=headers)
    assert answer.status_code in {200, 202}, answer.text
    return dict(answer.json())


def test_first_job_that_names_a_model_brings_it_and_the_next_finds_it(
    server: ThreadServer, origin: Origin, tmp_path: Path
) -> None:
    with server.client() as http:
        before = http.get("/v1/models/eraser:migan").json()
        assert (before["is_present"], before["licence"], before["tasks"]) == (False, "MIT", ["erase"])
        job = erase(http, "migan")
        assert job["status"] == "succeeded", job
        made = np.asarray(Image.open(io.BytesIO(http.get(job["outputs"][0]["url"]).content)))
        assert (made[20:40, 20:40] > 150).all()
        assert (made[:20] == 30).all()
        assert (tmp_path / "models" / "erasers" / "migan_traced.pt").read_bytes() == origin.body
        after = http.get("/v1/models/eraser:migan").json()
        assert (after["is_present"], after["is_loaded"]) == (True, True)
        assert erase(http, "migan")["status"] == "succeeded"
        assert len(origin.requests) == 1


def test_jobs_that_need_no_download_go_past_one_that_waits_and_that_one_can_be_cancelled(
    server: ThreadServer, origin: Origin, portal: BlockingPortal
) -> None:
    gate = origin.gate = asyncio.Event()
    origin.tells_length = False  # so that the end of the file is the end of the connection
    with server.client() as http:
        waiting = [erase(http, "migan", 0) for _ in range(3)]
        until(lambda: bool(origin.requests), "the download")
        assert erase(http, "cv2")["status"] == "succeeded"
        for job in waiting:
            assert http.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
            assert http.delete(f"/v1/jobs/{job['id']}").status_code == 202
            ended = http.get(f"/v1/jobs/{job['id']}?wait={DEADLINE_S:g}").json()
            assert ended["status"] == "cancelled"
        portal.call(gate.set)


def test_model_that_cannot_be_had_fails_its_job_with_what_to_do(server: ThreadServer, origin: Origin) -> None:
    origin.status = 404
    with server.client() as http:
        job = erase(http, "migan")
        assert (job["status"], job["error"]["code"]) == ("failed", "model_missing")
        assert "status 404" in job["error"]["message"]
        assert f"http://127.0.0.1:{origin.port}/migan_traced.pt" in job["error"]["message"]


def test_model_that_is_not_for_commercial_use_is_refused_before_anything_is_downloaded(
    server: ThreadServer, origin: Origin
) -> None:
    with server.client() as http:
        job = erase(http, "mat")
        assert (job["status"], job["error"]["code"]) == ("failed", "forbidden")
        assert "CC-BY-NC-4.0" in job["error"]["message"]
        listed = http.get("/v1/models/eraser:mat").json()
        assert "allow_noncommercial_models" in listed["problem"]
