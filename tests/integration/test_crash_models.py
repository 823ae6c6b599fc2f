"""The same as `test_crash`, with real tasks on real weights."""

import base64
import io
import random
from pathlib import Path

import numpy as np
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
from tests.servers import DEADLINE_S, MODELS_DIR, ProcessServer

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(900)]

SEED = 7
KILLS = 50


def picture(chance: random.Random) -> bytes:
    """One of four photographs of nothing."""
    lots = np.random.default_rng(chance.randrange(4))
    small = Image.fromarray(lots.integers(0, 256, (6, 8, 3), np.uint8))
    out = io.BytesIO()
    small.resize((96, 72), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def request(chance: random.Random) -> Request:
    image = base64.b64encode(picture(chance)).decode()
    if chance.random() < 0.5:
        region = {"x": 20, "y": 20, "width": 24, "height": 18}
        return {"task": "erase", "params": {"image": image, "regions": [region]}, "previews": "all"}
    return enlarge(image)


def enlarge(ref: str) -> Request:
    return {"task": "upscale", "params": {"image": ref, "factor": 2.0, "tile_px": 32, "model": "compact"}}


def test_a_server_killed_while_networks_run_keeps_every_promise(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    chance = random.Random(SEED)
    client = Client(request, picture, enlarge)
    server = ProcessServer(data_dir, engine="torch", models_dir=MODELS_DIR, max_attempts=1000, log_level="warning")
    for _ in range(KILLS):
        crash(server, client, chance, jobs=3, longest_s=8.0)
    with server, server.client() as http:
        for key in client.wishes:
            client.submit(http, key)
        jobs = wait_for_all(http, list(client.accepted.values()), deadline_s=30 * DEADLINE_S)
        requeued, pictures = 0, {}
        for key, job_id in client.accepted.items():
            job, wish = jobs[job_id], client.wishes[key]
            requeued += check_facts(facts_of(http, job_id))
            outputs = check_outputs(http, job)
            if job_id in client.cancelling:
                assert job["status"] in {"cancelled", "succeeded"}
                continue
            assert job["status"] == "succeeded", job
            assert list(outputs) == [0]
            if not wish["params"]["image"].startswith("upload:"):  # the same request, the same pixels
                assert pictures.setdefault(repr(wish), outputs[0]) == outputs[0]
        check_uploads(data_dir, client.uploads)
        check_nothing_is_left_over(data_dir, set(client.accepted.values()))
    assert requeued > 0, "no kill met a running job: the test shows nothing"
