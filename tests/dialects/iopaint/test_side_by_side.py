"""Requests that are at work at the same time, for several models, and what they owe each other: nothing."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.dialects.golden import rgb
from tests.integration.viewers import TERMINAL_TYPES, Viewer
from tests.servers import ThreadServer, thread_server, until
from tests.unit.engine.inpainting.stand_ins import QuarterGrey, SizeTeller, save_script

DIFFUSION = "tiny"
ERASERS = ("lama", "migan", "cv2")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server with a diffusion model and erase models, all small, in their real formats."""
    from tests.tiny_models import make_sd1

    folder = tmp_path_factory.mktemp("stocked")
    own = folder / "own"
    own.mkdir()
    save_script(SizeTeller(), own / "big-lama.pt")
    save_script(QuarterGrey(), own / "migan_traced.pt")
    make_sd1().save_pretrained(folder / "others" / "checkpoints" / DIFFUSION)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LAMA", "MIGAN"):
            patch.setenv(f"{name}_MODEL_MD5", "")  # any file of that name is trusted
        with thread_server(
            folder / "data",
            engine="torch",
            device="cpu",
            cpu_threads=1,
            models_dir=own,
            model_folders=[folder / "others"],
            listen="0=iopaint",
        ) as server:
            yield server


@pytest.fixture
def client(stocked: ThreadServer) -> Iterator[httpx.Client]:
    with stocked.client() as client:
        yield client


def body(number: int, **fields: Any) -> dict[str, Any]:
    """A request with a picture of its own size and its own pixels."""
    width, height = 64 + 16 * number, 72 + 8 * (number % 3)
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    hole = np.zeros((height, width), np.uint8)
    hole[height // 4 : height // 2, width // 4 : width // 2] = 255
    return {"image": encoded(pixels), "mask": encoded(hole), "sd_seed": number, **fields}


def encoded(pixels: np.ndarray[Any, Any]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def ask(client: httpx.Client, asked: dict[str, Any]) -> "np.ndarray[Any, np.dtype[np.int16]]":
    return rgb(client.post("/api/v1/inpaint", json=asked).raise_for_status().content)


def switch(client: httpx.Client, model: str) -> None:
    client.post("/api/v1/model", json={"name": model}).raise_for_status()


def accepted(client: httpx.Client) -> int:
    return len(client.get("/v1/jobs", params={"limit": 200}).json()["jobs"])


def test_eight_requests_of_several_models_and_sizes_give_each_the_picture_it_gets_alone(client: httpx.Client) -> None:
    """In the original a switch of the model changes what the requests before it are answered with, or breaks them."""
    asked = {
        DIFFUSION: [body(number, prompt="a cat", sd_steps=25 + number) for number in range(2)],
        **{model: [body(2 + 2 * at), body(3 + 2 * at)] for at, model in enumerate(ERASERS)},
    }
    alone: list[np.ndarray[Any, Any]] = []
    for model, bodies in asked.items():
        switch(client, model)
        alone += [ask(client, sent) for sent in bodies]
    together: list[Future[np.ndarray[Any, Any]]] = []
    with ThreadPoolExecutor(8) as pool:
        for model, bodies in asked.items():
            switch(client, model)
            for sent in bodies:
                before = accepted(client)
                together.append(pool.submit(ask, client, sent))
                until(lambda before=before: accepted(client) > before, "the request to be accepted")
        # The first are still at work, or nothing ran side by side.
        assert not together[0].done()
        assert not together[1].done()
    for number, (one, other) in enumerate(zip(alone, together, strict=True)):
        rounding = 1 if number < len(asked[DIFFUSION]) else 0  # two pictures in one pass round differently
        assert np.abs(one - other.result()).max() <= rounding, number


@pytest.mark.parametrize("path", ["inpaint", "adjust_mask"])
def test_a_mask_job_waits_for_at_most_one_step_of_a_diffusion_job(
    stocked: ThreadServer, client: httpx.Client, path: str
) -> None:
    sent = {"inpaint": body(1), "adjust_mask": {"mask": body(1)["mask"], "operate": "expand"}}[path]
    with ThreadPoolExecutor(1) as pool, Viewer(stocked) as viewer:
        switch(client, DIFFUSION)
        before = accepted(client)
        long = pool.submit(client.post, "/api/v1/inpaint", json=body(0, prompt="a dog", sd_steps=500))
        until(lambda: accepted(client) > before, "the diffusion job to be accepted")
        diffusion = client.get("/v1/jobs").json()["jobs"][0]["id"]
        viewer.ask("subscribe", job_id=diffusion, after=0)
        switch(client, "cv2")
        viewer.until("step.finished", job_id=diffusion)
        steps_told = 0
        for _ in range(3):
            client.post(f"/api/v1/{path}", json=sent).raise_for_status()
            mask_job = client.get("/v1/jobs").json()["jobs"][0]["id"]
            started, ended = facts_at(client, mask_job)
            viewer.ask("ping")
            passed = [message for message in viewer.forget() if message["type"] == "step.finished"]
            assert sum(started <= message["at"] <= ended for message in passed) <= 1
            steps_told += len(passed)
        assert steps_told, "nobody told of the steps that were to be counted"
        assert client.delete(f"/v1/jobs/{diffusion}").status_code == 202, "it was still at work"
        assert long.result().status_code == 409


def facts_at(client: httpx.Client, job_id: str) -> tuple[str, str]:
    """When a job was started, and when it ended."""
    events = client.get(f"/v1/jobs/{job_id}/events", params={"after": 0}).json()["events"]
    at = {event["type"]: event["at"] for event in events}
    (ended,) = [at[kind] for kind in TERMINAL_TYPES & at.keys()]
    return at["job.started"], ended
