"""Pictures from prompts on a real server, with a real diffusers model of a few thousand weights."""

import io
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from PIL import Image

from engine.diffusion.quiet import quieten
from tests.integration.viewers import Message, Viewer, facts_of, finished, inline, png, submit
from tests.servers import MODELS_DIR, ThreadServer, thread_server

pytestmark = [pytest.mark.usefixtures("quiet_log"), pytest.mark.models]

PROMPT = {"prompt": "a red apple", "seed": 7}
ERASE = {"image": inline(png()), "regions": [{"x": 2, "y": 2, "width": 5, "height": 5}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    quieten()
    from tests.tiny_models import make_sd1

    folder = tmp_path_factory.mktemp("other-program")
    make_sd1().save_pretrained(folder / "tiny")
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
        told = viewer.until_end(long_job["id"])
        assert told[-1]["type"] == "job.cancelled"
        assert len(of(told, "step.finished")) <= 1


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
    job = submit(http, "text_to_image", params={**PROMPT, "model": "tinny"})
    error = finished(http, job["id"])["error"]
    assert error["code"] == "model_missing"
    assert "tiny" in error["message"]
    assert [fact["type"] for fact in facts_of(http, job["id"])] == ["job.queued", "job.started", "job.failed"]


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
