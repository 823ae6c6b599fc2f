"""What the service says of itself."""

from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.dialects.pictures import png
from tests.dialects.text_removal.callers import order, pixels
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import ThreadServer, thread_server
from tests.unit.engine.inpainting.stand_ins import SizeTeller, save_script


def test_the_service_introduces_itself(server: ThreadServer, client: httpx.Client) -> None:
    assert client.get("/").json() == {
        "name": "IOPaint Text Removal Service",
        "version": "1.0.0",
        "status": "running",
        "docs": "/docs",
        "health": "/api/v1/health",
        "model": "patchmatch",
        "device": "fake",
    }
    health = client.get("/api/v1/health").json()
    assert (health["status"], health["version"]) == ("healthy", "1.0.0")
    assert datetime.fromisoformat(health["timestamp"]).tzinfo is None
    info = client.get("/api/v1/info").json()
    assert set(info) == {"name", "version", "model", "capabilities", "limits"}
    assert info["model"] == client.get("/api/v1/model").json()
    assert len(info["capabilities"]) == 5


def test_on_a_fresh_machine_our_own_fill_works_and_says_so(tmp_path: Path) -> None:
    with (
        thread_server(
            tmp_path / "data", engine="torch", device="cpu", models_dir=tmp_path / "models", listen=PROFILE
        ) as server,
        server.client() as client,
    ):
        answer = client.post("/api/v1/inpaint-regions", json=order())
        assert answer.status_code == 200
        assert not (pixels(answer.content) == pixels(png())).all()
        told = client.get("/api/v1/model").json()
        assert (told["name"], told["device"], told["status"]) == ("patchmatch", "cpu", "ready")
        assert told["parameters"]["model_type"] == "inpaint"


def test_lama_works_once_its_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMA_MODEL_MD5", "")
    monkeypatch.setattr("service.dialects.text_removal.erasers._LOOK_AGAIN_S", 0.0)
    models = tmp_path / "models"
    with (
        thread_server(tmp_path / "data", engine="torch", device="cpu", models_dir=models, listen=PROFILE) as server,
        server.client() as client,
    ):
        assert client.get("/api/v1/model").json()["name"] == "patchmatch"
        models.mkdir(exist_ok=True)
        save_script(SizeTeller(), models / "big-lama.pt")
        assert client.get("/api/v1/model").json()["name"] == "lama"
        answer = client.post("/api/v1/inpaint-regions", json=order())
        assert tuple(pixels(answer.content)[10, 15]) == (48, 64, 0)


def test_a_model_the_operator_names_is_taken_and_its_absence_told(tmp_path: Path) -> None:
    with (
        thread_server(
            tmp_path / "data",
            engine="torch",
            device="cpu",
            models_dir=tmp_path / "models",
            listen=PROFILE,
            text_removal_model="zits",
            allow_model_downloads=False,
        ) as server,
        server.client() as client,
    ):
        assert client.get("/").json()["model"] == "zits"
        answer = client.post("/api/v1/inpaint-regions", json=order())
        assert answer.status_code == 503
        assert "zits" in answer.json()["detail"]


def test_one_server_serves_both_services_and_ours(tmp_path: Path) -> None:
    """On a listener without a profile, what both have is IOPaint's, and all the rest is there."""
    with thread_server(tmp_path / "data", listen="0,0=text_removal,0=iopaint") as server:
        every, text_removal, iopaint = (f"http://127.0.0.1:{port}" for port in server.ports)
        with httpx.Client(trust_env=False, timeout=30) as client:
            assert client.get(f"{every}/api/v1/health").json()["status"] == "healthy"
            assert client.post(f"{every}/api/v1/inpaint-regions", json=order()).status_code == 200
            assert client.get(f"{every}/", headers={"Accept": "application/json"}).json()["version"] == "1.0.0"
            assert {"name", "path", "device", "status", "parameters"} <= set(client.get(f"{every}/api/v1/model").json())
            assert client.get(f"{text_removal}/v1/health/live").status_code == 200
            assert client.get(f"{text_removal}/api/v1/server-config").status_code == 404
            assert client.get(f"{iopaint}/api/v1/tasks").status_code == 404
            # A task is one task, whichever way its client comes.
            client.post(f"{every}/api/v1/inpaint-regions-async", json=order(task_id="a")).raise_for_status()
            assert client.get(f"{text_removal}/api/v1/task-status/a").status_code == 200


def test_pages_from_elsewhere_may_read_what_it_says(client: httpx.Client) -> None:
    answer = client.post("/api/v1/inpaint-regions", json=order(), headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] in {"*", "https://app.example"}
    assert "X-Regions-Count".lower() in answer.headers["access-control-expose-headers"].lower()
