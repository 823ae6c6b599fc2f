"""`kill -9` on a real server, again and again: no accepted job is lost, and each comes to one end."""

import base64
import io
import random
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.integration.crashes import (
    Client,
    Request,
    check_facts,
    check_nothing_is_left_over,
    check_outputs,
    check_uploads,
    crash,
    facts_of,
    wait_for_all,
)
from tests.servers import DEADLINE_S, ProcessServer

SEED = 20_261_121
JOBS_PER_LIFE = 5


def picture(chance: random.Random) -> bytes:
    out = io.BytesIO()
    colour = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
    Image.new("RGB", (48, 32), colour).save(out, "PNG")
    return out.getvalue()


def request(chance: random.Random) -> Request:
    if chance.random() < 0.3:
        image = base64.b64encode(picture(chance)).decode()
        return {"task": "erase", "params": {"image": image, "regions": [{"x": 1, "y": 1, "width": 9, "height": 9}]}}
    images, seed = chance.randint(1, 3), chance.randrange(5) * 10
    return {"task": "test_pattern", "params": {"width": 32, "height": 32, "images": images, "steps": 2, "seed": seed}}


def enlarge(ref: str) -> Request:
    return {"task": "upscale", "params": {"image": ref}}


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_a_server_that_is_killed_keeps_every_promise(tmp_path: Path, kills: int) -> None:
    data_dir = tmp_path / "data"
    chance = random.Random(SEED)
    client = Client(request, picture, enlarge)
    server = ProcessServer(data_dir, fake_step_s=0.02, max_attempts=1000, log_level="warning")
    for _ in range(kills):
        crash(server, client, chance, jobs=JOBS_PER_LIFE, longest_s=0.5)
    with server, server.client() as http:
        for key in client.wishes:  # a repeated key gets the job it made, before the kills or after
            client.submit(http, key)
        jobs = wait_for_all(http, list(client.accepted.values()), deadline_s=6 * DEADLINE_S)
        requeued, pictures = 0, {}
        for key, job_id in client.accepted.items():
            job, wish = jobs[job_id], client.wishes[key]
            facts = facts_of(http, job_id)
            requeued += check_facts(facts)
            assert job["seq"] == len(facts)
            outputs = check_outputs(http, job)
            if job_id in client.cancelling:
                assert job["status"] in {"cancelled", "succeeded"}
            else:
                assert job["status"] == "succeeded", job
                assert list(outputs) == list(range(wish["params"].get("images", 1)))
            if wish["task"] == "test_pattern":
                for index, sha256 in outputs.items():  # one seed, one picture, whatever came between
                    assert pictures.setdefault(wish["params"]["seed"] + index, sha256) == sha256
        everything = {job["id"] for job in listing(http)}
        assert everything == set(client.accepted.values()), "a job nobody asked for"
        check_uploads(data_dir, client.uploads)
        check_nothing_is_left_over(data_dir, everything)
    assert len(client.accepted) > kills
    assert requeued > kills // 4, "hardly a kill met a running job: the test shows nothing"
    assert len(client.uploads) > kills // 4


def listing(http: httpx.Client) -> list[Request]:
    jobs: list[Request] = []
    cursor: str | None = None
    while True:
        page = http.get("/v1/jobs", params={"limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        jobs += page["jobs"]
        cursor = page.get("next")
        if cursor is None:
            return jobs
