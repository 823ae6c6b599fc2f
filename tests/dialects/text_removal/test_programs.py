"""Programs as people have written them for the text-removal service, pointed at ours.

Each does what an example in its documentation does, with the same calls in the same order: a blocking one, one
that starts a task and asks for its status, and a backend that relays the progress of its tasks from one WebSocket to
another.
"""

import asyncio
import base64
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from tests.dialects.pictures import png
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

requests = pytest.importorskip("requests")
REGIONS = [{"x": 100, "y": 50, "width": 200, "height": 30}, {"x": 150, "y": 200, "width": 150, "height": 25}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """A fresh machine: the real engine, and no weights."""
    with thread_server(
        tmp_path / "data", engine="torch", device="cpu", models_dir=tmp_path / "models", listen=PROFILE
    ) as running:
        yield running


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "image.jpg"
    path.write_bytes(png(400, 300, file_format="JPEG"))
    return path


def test_blocking_program_saves_its_result(server: ThreadServer, photograph: Path) -> None:
    url = f"http://localhost:{server.ports[0]}/api/v1"
    image_b64 = base64.b64encode(photograph.read_bytes()).decode("utf-8")
    body = {"image": image_b64, "regions": REGIONS}
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(f"{url}/inpaint-regions", json=body)
        assert response.status_code == 200
        result = photograph.with_name("result.png")
        result.write_bytes(response.content)
        stats = session.post(f"{url}/inpaint-regions-json", json=body).json()
    assert result.read_bytes().startswith(b"\x89PNG")
    assert stats["processing_stats"]["regions_processed"] == 2
    assert float(f"{stats['processing_stats']['processing_time']:.2f}") >= 0


def test_program_that_starts_a_task_under_its_own_id_and_asks_for_its_status(
    server: ThreadServer, photograph: Path
) -> None:
    url = f"http://localhost:{server.ports[0]}/api/v1"
    task_id = str(uuid.uuid4())
    body = {
        "image": base64.b64encode(photograph.read_bytes()).decode("utf-8"),
        "regions": REGIONS,
        "task_id": task_id,
        "enable_progress": True,
        "sd_seed": 42,
        "sd_steps": 20,
        "sd_strength": 0.8,
        "sd_guidance_scale": 7.5,
        "hd_strategy": "Original",
        "hd_strategy_crop_trigger_size": 1024,
        "hd_strategy_crop_margin": 32,
    }
    with requests.Session() as session:
        session.trust_env = False
        started = session.post(f"{url}/inpaint-regions-async", json=body).json()
        assert started["task_id"] == task_id
        assert started["websocket_url"] == f"ws://localhost:{server.ports[0]}/api/v1/ws/progress/{task_id}"
        status = session.get(f"{url}/task-status/{task_id}").json()
        assert status["status"] in {"pending", "preparing", "processing", "completed"}


class Backend:
    """Somebody's own service: starts tasks for its users, and relays what becomes of them to their browsers."""

    def __init__(self, base_url: str, ws_url: str) -> None:
        self._base_url = base_url
        self._ws_url = ws_url
        self.app = Starlette(routes=[WebSocketRoute("/progress/{task_id}", self.relay)])

    async def start(self, picture: bytes, found: list[dict[str, Any]], task_id: str) -> dict[str, Any]:
        """What OCR has found, as the text-removal service takes it."""
        regions = [{name: text["bounding_box"][name] for name in ("x", "y", "width", "height")} for text in found]
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
            response = await client.post(
                f"{self._base_url}/api/v1/inpaint-regions-async",
                json={
                    "image": base64.b64encode(picture).decode("utf-8"),
                    "regions": regions,
                    "task_id": task_id,
                    "enable_progress": True,
                },
            )
            started: dict[str, Any] = response.json()
            return started

    async def relay(self, websocket: WebSocket) -> None:
        """Every message as it came, until one side has gone."""
        await websocket.accept()
        task_id = websocket.path_params["task_id"]
        try:
            async with connect(f"{self._ws_url}/api/v1/ws/progress/{task_id}", proxy=None) as progress:
                async for message in progress:
                    assert isinstance(message, str)
                    await websocket.send_text(message)
        except Exception as problem:  # noqa: BLE001 - told to the browser, as the example does
            await websocket.send_text(json.dumps({"type": "error", "message": str(problem)}))

    @contextmanager
    def running(self) -> Iterator[int]:
        """Serve it; gives its port."""
        server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_config=None, ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started, "the backend to start")
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.force_exit = server.should_exit = True
            thread.join(3 * DEADLINE_S)


@pytest.mark.parametrize("is_late", [False, True], ids=["before the task", "after the task"])
def test_backend_relays_progress_to_the_browser(server: ThreadServer, photograph: Path, is_late: bool) -> None:
    """However quick the task was: who connects when it is over hears the end, too."""
    port = server.ports[0]
    backend = Backend(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
    found = [{"text": "Hello", "bounding_box": {**region, "angle": 0}} for region in REGIONS]
    task_id = str(uuid.uuid4())

    async def until_over(browser: Any) -> list[dict[str, Any]]:
        heard = []
        async with asyncio.timeout(3 * DEADLINE_S):
            async for message in browser:
                heard.append(json.loads(message))
                if heard[-1]["type"] in {"task_completed", "task_failed", "task_cancelled", "error"}:
                    break
        return heard

    async def watch(relayed: int) -> list[dict[str, Any]]:
        address = f"ws://127.0.0.1:{relayed}/progress/{task_id}"
        if is_late:
            assert (await backend.start(photograph.read_bytes(), found, task_id))["status"] == "pending"
            async with connect(f"ws://127.0.0.1:{port}/api/v1/ws/progress/{task_id}", proxy=None) as own:
                await until_over(own)
            async with connect(address, proxy=None) as browser:
                return await until_over(browser)
        async with connect(address, proxy=None) as browser:
            first = json.loads(await browser.recv())
            assert (await backend.start(photograph.read_bytes(), found, task_id))["status"] == "pending"
            return [first, *await until_over(browser)]

    with backend.running() as relayed:
        heard = asyncio.run(watch(relayed))
    assert heard[0]["type"] == "connection_established"
    assert heard[-1]["type"] == "task_completed"
    assert {message["task_id"] for message in heard} == {task_id}
    assert heard[-2]["progress"] == 100.0
    if not is_late:
        assert any(message.get("stage") == "inpainting" for message in heard)


def test_backend_hears_that_the_service_is_not_there() -> None:
    """What the example tells its browser then; so the test above does hear errors."""
    backend = Backend("http://127.0.0.1:9", "ws://127.0.0.1:9")

    async def watch(relayed: int) -> dict[str, Any]:
        async with connect(f"ws://127.0.0.1:{relayed}/progress/x", proxy=None) as browser:
            heard: dict[str, Any] = json.loads(await browser.recv())
            return heard

    with backend.running() as relayed:
        assert asyncio.run(watch(relayed))["type"] == "error"
