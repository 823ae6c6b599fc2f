"""Pictures from prompts on a real server, with a real diffusers model of a few thousand weights."""

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from engine.diffusion.quiet import quieten
from tests.integration.viewers import Message, Viewer, facts_of, finished, inline, png, submit
from tests.servers import MODELS_DIR, REPOSITORY, ThreadServer, thread_server

pytestmark = [pytest.mark.usefixtures("quiet_log"), pytest.mark.models]

PROMPT = {"prompt": "a red apple", "seed": 7}
ERASE = {"image": inline(png()), "regions": [{"x": 2, "y": 2, "width": 5, "height": 5}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of another program."""
    quieten()
    from tests.tiny_models import make_sd1

    folder = tmp_path_factory.mktemp("other-program")
    make_sd1().save_pretrained(folder / "tiny")
    shutil.copytree(folder / "tiny", folder / "another")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[ThreadServer]:
    options = {"models_dir": MODELS_DIR, "model_folders": [folder], "default_model": "tiny"}
    with thread_server(tmp_path_factory.mktemp("data"), engine="torch", **options) as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def picture(http: httpx.Client, job_id: str, number: int = 0) -> bytes:
    answer = http.get(f"/v1/jobs/{job_id}/outputs/{number}")
    assert answer.status_code == 200
    return answer.content


def pixels(content: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    return np.asarray(Image.open(io.BytesIO(content)), np.int16)


def of(told: list[Message], kind: str) -> list[Message]:
    return [message for message in told if message["type"] == kind]


def test_a_prompt_is_watched_step_by_step_until_its_picture_is_there(server: ThreadServer, http: httpx.Client) -> None:
    with Viewer(server) as viewer:
        job = viewer.submit("text_to_image", params={**PROMPT, "steps": 5}, previews="all")
        told = viewer.until_end(job["id"])
    assert told[-1]["type"] == "job.succeeded"
    steps = [message["data"]["step"] for message in of(told, "step.finished")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 5
    assert of(told, "preview.ready")
    (ready,) = of(told, "output.ready")
    assert ready["data"]["seed"] == 7
    assert ready["data"]["data"]["model"] == "tiny"
    assert pixels(picture(http, job["id"])).shape == (64, 64, 3)


def test_what_a_preset_names_and_the_server_has_not_is_told_before_the_job_starts(server: ThreadServer) -> None:
    with Viewer(server) as viewer:
        job = viewer.submit("text_to_image", params={**PROMPT, "preset": "sai", "steps": 2, "width": 64, "height": 64})
        told = viewer.until_end(job["id"])
    assert told[-1]["type"] == "job.succeeded"
    assert (job["params"]["model"], job["params"]["refiner"], job["params"]["guidance_scale"]) == (None, None, 7.0)
    incomplete = [warning for warning in of(told, "job.warning") if warning["data"]["code"] == "preset_incomplete"]
    assert [warning["seq"] for warning in incomplete] == [2, 3], "right after job.queued"
    assert "'sd_xl_base_1.0_0.9vae.safetensors' is not here" in incomplete[0]["data"]["message"]
    assert "'sd_xl_refiner_1.0_0.9vae.safetensors' is not here" in incomplete[1]["data"]["message"]


def test_erase_and_cancel_wait_for_at_most_one_step_of_a_long_generation(server: ThreadServer) -> None:
    with Viewer(server) as viewer:
        long_job = viewer.submit("text_to_image", params={**PROMPT, "steps": 500, "images": 64}, previews="none")
        viewer.until("step.finished", job_id=long_job["id"])
        for _ in range(3):
            erase = viewer.submit("erase", params=ERASE, previews="none")
            told = viewer.until_end(erase["id"])
            assert told[-1]["type"] == "job.succeeded"
            started = next(at for at, message in enumerate(told) if message["type"] == "job.started")
            assert len(of(told[started:], "step.finished")) <= 1 + 1, "its own, and one of the generation's"
        viewer.ask("cancel", job_id=long_job["id"])
        answered = len(viewer.frames)
        told = viewer.until_end(long_job["id"])
        assert told[-1]["type"] == "job.cancelled"
        # What was on its way before the answer came was done before the server had heard of the cancel.
        assert len(of([viewer.codec.decode(frame) for frame in viewer.frames[answered:]], "step.finished")) <= 1


def test_pictures_made_at_once_are_those_made_alone(http: httpx.Client) -> None:
    asked = [
        {**PROMPT, "steps": 6},
        {**PROMPT, "seed": 8, "steps": 9, "guidance_scale": 3.0},
        {**PROMPT, "prompt": "a blue fish", "steps": 5, "scheduler": "euler_ancestral"},
        {**PROMPT, "prompt": "a cat", "steps": 7, "guidance_scale": 1.0, "scheduler": "ddim"},
    ]
    alone = []
    for params in asked:
        job = submit(http, "text_to_image", params=params)
        assert finished(http, job["id"])["status"] == "succeeded"
        alone.append(picture(http, job["id"]))
    jobs = [submit(http, "text_to_image", params=params) for params in asked]
    exact = [submit(http, "text_to_image", params={**params, "deterministic": True}) for params in asked]
    for job, same, before in zip(jobs, exact, alone, strict=True):
        for each in (job, same):
            assert finished(http, each["id"])["status"] == "succeeded"
        assert np.abs(pixels(picture(http, job["id"])) - pixels(before)).max() <= 1
        assert picture(http, same["id"]) == before


def test_what_only_the_model_can_tell_fails_the_job_and_says_why(http: httpx.Client) -> None:
    job = submit(http, "text_to_image", params={**PROMPT, "refiner": "another"})
    error = finished(http, job["id"])["error"]
    assert error["code"] == "invalid_params"
    assert "'tiny' cannot be refined" in error["message"]
    assert [fact["type"] for fact in facts_of(http, job["id"])] == ["job.queued", "job.started", "job.failed"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"model": "tinny"}, "model"),
        ({"loras": [{"name": "tiny"}]}, "loras[0].name"),
        ({"refiner": "tinny"}, "refiner"),
    ],
)
def test_a_model_that_is_not_there_is_refused_before_there_is_a_job(
    server: ThreadServer, http: httpx.Client, given: dict[str, object], field: str
) -> None:
    before = http.get("/v1/jobs").json()["jobs"]
    params = {**PROMPT, **given}
    refused = http.post("/v1/jobs", json={"task": "text_to_image", "params": params})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "model_missing")
    assert problem["field"] == f"$.params.{field}"
    assert "tiny" in problem["detail"]
    with Viewer(server) as viewer:
        reply = viewer.ask("submit", job={"task": "text_to_image", "params": params})
    assert not reply["ok"]
    assert (reply["error"]["code"], reply["error"]["field"]) == ("model_missing", f"$.job.params.{field}")
    assert http.get("/v1/jobs").json()["jobs"] == before


def test_a_model_that_is_not_there_is_a_mistake_on_the_command_line(server: ThreadServer) -> None:
    command = ["run", "text_to_image", "a cat", "--set", "model=tinny", "--url", server.url]
    done = subprocess.run(
        [sys.executable, "-m", "safelight", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "close to it: 'tiny', at $.job.params.model [model_missing]" in done.stderr


def test_a_damaged_model_is_refused_and_one_that_was_put_there_or_mended_is_found(
    http: httpx.Client, folder: Path
) -> None:
    late = folder / "late.safetensors"
    request = {"task": "load_model", "params": {"model": "late"}}
    assert http.post("/v1/jobs", json=request).json()["code"] == "model_missing"
    late.write_bytes(b"nothing")
    assert http.post("/v1/jobs", json=request).json()["code"] == "bad_model"
    late.unlink()
    shutil.copytree(folder / "tiny", folder / "late")
    job = http.post("/v1/jobs", json=request)
    assert job.status_code == 202, job.text
    assert finished(http, job.json()["id"])["status"] == "succeeded"


def test_a_repeat_gets_its_first_answer_though_the_model_has_gone_and_a_waiting_job_fails(
    http: httpx.Client, folder: Path
) -> None:
    shutil.copytree(folder / "tiny", folder / "passing")
    busy = [submit(http, "test_pattern", params={"steps": 500, "step_ms": 20, "images": 64}) for _ in range(8)]
    headers, request = {"Idempotency-Key": "passing"}, {"task": "load_model", "params": {"model": "passing"}}
    accepted = http.post("/v1/jobs", json={**request, "priority": "low"}, headers=headers)
    assert accepted.status_code == 202
    shutil.rmtree(folder / "passing")
    again = http.post("/v1/jobs", json={**request, "priority": "low"}, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, accepted.json()["id"])
    assert http.post("/v1/jobs", json=request).json()["code"] == "model_missing"
    for job in busy:
        http.delete(f"/v1/jobs/{job['id']}")
    assert finished(http, accepted.json()["id"])["error"]["code"] == "model_missing"


def test_an_output_is_the_input_of_the_next_job(http: httpx.Client) -> None:
    first = submit(http, "text_to_image", params={**PROMPT, "steps": 3})
    finished(http, first["id"])
    image = f"job:{first['id']}/0"
    region = {"x": 10, "y": 10, "width": 20, "height": 20}
    for task, more in (
        ("image_to_image", {"strength": 0.5}),
        ("inpaint", {"regions": [region]}),
        ("outpaint", {"right": 32}),
    ):
        job = submit(http, task, params={**PROMPT, "image": image, "steps": 3, **more})
        ended = finished(http, job["id"])
        assert ended["status"] == "succeeded", ended
        wide = 96 if task == "outpaint" else 64
        assert pixels(picture(http, job["id"])).shape == (64, wide, 3)


def test_a_region_outside_the_picture_is_refused_at_the_edge(http: httpx.Client) -> None:
    params = {**PROMPT, "image": inline(png()), "regions": [{"x": 5000, "y": 0, "width": 4, "height": 4}]}
    answer = http.post("/v1/jobs", json={"task": "inpaint", "params": params})
    assert answer.status_code == 422
    assert answer.json()["field"] == "$.params.regions[0]"
