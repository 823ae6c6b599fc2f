"""Every answer with a picture in it brings its file to this machine first: here all files are elsewhere at first."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.interface.engine import StoredOutput
from service.files import Files
from tests.dialects.fooocus_api import callers as fooocus_api
from tests.dialects.fooocus_engine import callers as fooocus_engine
from tests.dialects.iopaint import callers as iopaint
from tests.dialects.jobs import ended
from tests.dialects.pictures import b64, opened, png
from tests.dialects.receivers import Receiver
from tests.dialects.sd_api import callers as sd_api
from tests.dialects.text_removal.callers import order
from tests.servers import ThreadServer, thread_server

PROFILES = ("iopaint", "text_removal", "fooocus_api", "fooocus_engine", "sd_api")
_ELSEWHERE = "elsewhere-"


def _hide(path: Path) -> None:
    path.replace(path.with_name(_ELSEWHERE + path.name))


def hide_all(data_dir: Path) -> None:
    """What has been brought, and inputs."""
    for folder in ("jobs", "uploads"):
        for path in (data_dir / folder).rglob("*"):
            if path.is_file() and not path.name.startswith(_ELSEWHERE):
                _hide(path)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ThreadServer]:
    """A server of all dialects, whose outputs and uploads are elsewhere as soon as they are written."""
    write, keep = Files.write, Files.keep

    def write_elsewhere(self: Files, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        stored = write(self, job_id, index, media_type, content)
        _hide(self.output(job_id, index, media_type, stored.sha256))
        return stored

    def keep_elsewhere(self: Files, part: Path) -> Path:
        path = keep(self, part)
        _hide(path)
        return path

    async def bring(_self: Files, path: Path) -> Path:
        hidden = path.with_name(_ELSEWHERE + path.name)
        if hidden.exists():
            hidden.replace(path)
        return path

    listen = ",".join(f"0={profile}" for profile in PROFILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Files, "write", write_elsewhere)
        patch.setattr(Files, "keep", keep_elsewhere)
        patch.setattr(Files, "bring", bring)
        with thread_server(data_dir, listen=listen, allow_private_urls=True) as running:
            yield running


@pytest.fixture
def client(server: ThreadServer, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Of the dialect whose name is in the name of the test; of our own API at the first of them."""
    chosen = next((profile for profile in PROFILES if f"_{profile}_" in request.node.name), PROFILES[0])
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.ports[PROFILES.index(chosen)]}", timeout=30, trust_env=False
    ) as made:
        yield made


def shows(answer: httpx.Response) -> bool:
    assert answer.status_code == 200, answer.text[:300]
    return opened(answer.content).size[0] > 0


def made(client: httpx.Client, task: str = "text_to_image", **params: Any) -> str:
    """A job of our own API that has succeeded."""
    if task == "text_to_image":
        params = {"prompt": "x", "width": 64, "height": 64, "steps": 1}
    answer = client.post("/v1/jobs", json={"task": task, "params": params})
    assert answer.status_code == 202, answer.text
    job = ended(client, answer.json()["id"])
    assert job["status"] == "succeeded"
    return str(job["id"])


def test_outputs_of_our_own_api_are_brought(client: httpx.Client, data_dir: Path) -> None:
    job_id = made(client)
    for query in ({}, {"max_side_px": 32}):
        assert shows(client.get(f"/v1/jobs/{job_id}/outputs/0", params=query))
        hide_all(data_dir)
    assert shows(client.get(f"/v1/jobs/{job_id}/outputs/0", headers={"Accept": "image/webp"}))
    hide_all(data_dir)
    answer = client.post("/v1/archives", json={"outputs": [{"job_id": job_id}]})
    assert answer.content.startswith(b"PK"), answer.text[:300]
    hide_all(data_dir)
    made(client, "upscale", image=f"job:{job_id}/0")


def test_uploads_of_our_own_api_are_brought(client: httpx.Client, data_dir: Path) -> None:
    upload_id = client.post("/v1/uploads", content=png(), headers={"Content-Type": "image/png"}).json()["id"]
    made(client, "upscale", image=f"upload:{upload_id}")
    hide_all(data_dir)
    assert client.get(f"/v1/uploads/{upload_id}").content == png()
    hide_all(data_dir)
    assert shows(client.get(f"/v1/uploads/{upload_id}", headers={"Accept": "image/webp"}))


def test_pictures_of_iopaint_are_brought(client: httpx.Client) -> None:
    assert shows(iopaint.ask(client))
    mask = {"mask": b64(png(mode="L")), "operate": "expand", "kernel_size": 2}
    assert shows(client.post("/api/v1/adjust_mask", json=mask))
    plugged = {"name": "RemoveBG", "image": b64(png())}
    assert shows(client.post("/api/v1/run_plugin_gen_image", json=plugged))


def test_pictures_of_text_removal_are_brought(client: httpx.Client, data_dir: Path) -> None:
    assert shows(client.post("/api/v1/inpaint-regions", json=order()))
    with Receiver(200).running() as receiver:
        sent = order(task_id="a", callback_url=receiver.url)
        client.post("/api/v1/inpaint-regions-async", json=sent).raise_for_status()
        told = base64.b64decode(receiver.next().body["image_data"])
    hide_all(data_dir)
    assert client.get("/api/v1/task-result/a").content == told


def test_pictures_of_fooocus_api_are_brought(client: httpx.Client, data_dir: Path) -> None:
    asked = fooocus_api.asked(require_base64=True)
    assert shows(client.post(fooocus_api.TEXT, json=asked, headers={"Accept": "image/png"}))
    (result,) = client.post(fooocus_api.TEXT, json=asked).json()
    assert result["base64"]
    hide_all(data_dir)
    assert shows(client.get(fooocus_api.local(result["url"])))
    hide_all(data_dir)
    job_id = fooocus_api.begin(client)
    ended(client, job_id)
    assert fooocus_api.queried(client, job_id, require_step_preview="true")["job_step_preview"]


def test_pictures_of_fooocus_engine_are_brought(client: httpx.Client, data_dir: Path) -> None:
    vary = {"uov_input_image": b64(png()), "uov_method": "Vary (Subtle)"}
    answer = client.post(fooocus_engine.GENERATE, json=fooocus_engine.asked(**vary), headers={"Accept": "image/png"})
    assert shows(answer)
    record = fooocus_engine.generated(client, **vary)
    hide_all(data_dir)
    for url in (record["req_params"]["uov_input_image"], record["result"][0]):
        assert shows(client.get(fooocus_api.local(url)))
    mask = client.post("/v1/tools/generate_mask", json={"image": b64(png()), "mask_model": "u2net"})
    assert opened(base64.b64decode(mask.json())).size == (64, 48)


def test_pictures_of_sd_api_are_brought(client: httpx.Client) -> None:
    task_id = sd_api.begin(client)
    ended(client, task_id)
    assert shows(client.get(fooocus_api.local(sd_api.shown(client, task_id)["result_url"])))
