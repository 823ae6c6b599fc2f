"""What a foreign request becomes of ours: which task, with which parameters, under whose seed."""

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from engine.fake_memory import FAKE_MODEL
from tests.dialects.golden import ERROR_KEYS
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

BORDER = {"use_extender": True, "extender_width": 80, "extender_height": 60}


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), "white").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", listen="0=iopaint", iopaint_model=FAKE_MODEL.name) as running:
        yield running


def mask() -> str:
    buffer = io.BytesIO()
    covered = Image.new("L", (64, 48), 0)
    covered.paste(255, (20, 10, 40, 30))
    covered.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/v1/inpaint", json={"image": picture(), "mask": mask(), **fields})


def job_of(http: httpx.Client) -> dict[str, Any]:
    """The newest job."""
    job: dict[str, Any] = http.get("/v1/jobs").json()["jobs"][0]
    return job


def test_a_request_to_a_diffusion_model_is_an_inpaint_job_with_its_words(http: httpx.Client) -> None:
    answer = ask(
        http,
        prompt="a bench",
        negative_prompt="people",
        sd_steps="3",
        sd_guidance_scale=6,
        sd_sampler="DPM++ SDE Karras",
        sd_strength=0.5,
        sd_mask_blur=7,
        sd_scale=0.5,
        sd_seed=11,
        sd_match_histograms="yes",
    )
    assert (answer.status_code, answer.headers["x-seed"]) == (200, "11")
    job = job_of(http)
    assert (job["task"], job["labels"]["dialect"]) == ("inpaint", "iopaint")
    wanted = {
        "prompt": "a bench",
        "negative_prompt": "people",
        "model": FAKE_MODEL.name,
        "steps": 3,
        "guidance_scale": 6.0,
        "scheduler": "dpmpp_sde",
        "noise_schedule": "karras",
        "strength": 0.5,
        "mask_blur_px": 7,
        "scale": 0.5,
        "seed": 11,
        "match_histograms": True,
        "crop": False,
        "format": "source",
    }
    assert wanted.items() <= job["params"].items()


def test_a_seed_of_minus_one_is_drawn_and_told(http: httpx.Client) -> None:
    seeds = {int(ask(http, sd_seed=-1, sd_steps=1).headers["x-seed"]) for _ in range(3)}
    assert len(seeds) == 3
    assert all(1 <= seed <= 99_999_999 for seed in seeds)
    assert job_of(http)["params"]["seed"] in seeds


def test_a_seed_out_of_our_range_is_told_as_it_came(http: httpx.Client) -> None:
    assert ask(http, sd_seed=2**63 + 3, sd_steps=1).headers["x-seed"] == str(2**63 + 3)
    assert job_of(http)["params"]["seed"] == 3


def test_the_croper_is_the_area_to_work_on(http: httpx.Client) -> None:
    rectangle = {"croper_x": 8, "croper_y": 4, "croper_width": 40, "croper_height": 32}
    assert ask(http, use_croper=True, sd_steps=1, **rectangle).status_code == 200
    assert job_of(http)["params"]["area"] == {"x": 8, "y": 4, "width": 40, "height": 32}


def test_the_extender_is_an_outpaint_job_from_noise(http: httpx.Client) -> None:
    answer = ask(http, extender_x=-6, extender_y=-2, sd_steps=1, sd_strength=0.3, **BORDER)
    assert answer.status_code == 200
    job = job_of(http)
    borders = {side: job["params"][side] for side in ("left", "top", "right", "bottom", "strength")}
    assert borders == {"left": 6, "top": 2, "right": 10, "bottom": 10, "strength": 1.0}
    with Image.open(io.BytesIO(answer.content)) as enlarged:
        assert enlarged.size == (80, 60)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"sd_sampler": "ddim"}, "sd_sampler"),
        ({"sd_steps": 0}, "sd_steps"),
        ({"sd_strength": 0}, "sd_strength"),
        ({"sd_lcm_lora": True}, "sd_lcm_lora"),
        ({"enable_brushnet": True}, "brushnet"),
        ({"enable_powerpaint_v2": True}, "powerpaint"),
        ({"enable_controlnet": True}, "controlnet_method"),
        ({**BORDER, "extender_x": 64}, "extender"),
        ({**BORDER, "extender_x": 2, "extender_width": 8, "extender_height": 8}, "extender"),
        ({"use_croper": True, "croper_width": 0}, "croper"),
        ({"use_croper": True, "croper_x": 500}, "area"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_name_and_makes_no_job(
    http: httpx.Client, fields: dict[str, Any], named: str
) -> None:
    """The original answers 500, or paints something else than was asked."""
    answer = ask(http, **fields)
    assert answer.status_code == 422
    assert set(answer.json()) == ERROR_KEYS
    assert named in answer.json()["errors"]
    assert http.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"hd_strategy_crop_margin": -1}, "crop_margin"), ({"hd_strategy_resize_limit": 0}, "resize_limit")],
    ids=str,
)
def test_sizes_no_strategy_can_work_with_are_refused(http: httpx.Client, fields: dict[str, Any], named: str) -> None:
    http.post("/api/v1/model", json={"name": "cv2"})
    answer = ask(http, **fields)
    assert answer.status_code == 422
    assert named in answer.json()["errors"]


def test_an_erase_model_is_an_erase_job_with_the_mask_as_it_came(http: httpx.Client) -> None:
    assert http.post("/api/v1/model", json={"name": "cv2"}).json()["name"] == "cv2"
    fields = {"hd_strategy": "Resize", "cv2_flag": "INPAINT_TELEA", "cv2_radius": -3, "sd_keep_unmasked_area": "no"}
    assert ask(http, **fields).status_code == 200
    job = job_of(http)
    wanted = {
        "model": "cv2",
        "method": "telea",
        "fill_radius_px": 0,
        "grow_px": 0,
        "feather_px": 0,
        "hd_strategy": "resize",
        "hd_crop_trigger_px": 800,
        "keep_unmasked": False,
        "keep_metadata": True,
        "quality": 100,
    }
    assert job["task"] == "erase"
    assert wanted.items() <= job["params"].items()


def test_a_job_that_fails_is_told_with_its_reason_in_four_keys(http: httpx.Client) -> None:
    http.post("/api/v1/model", json={"name": "patchmatch"})
    answer = ask(http, mask=picture(mode="L"))  # all of it: nothing is left to fill from
    job = job_of(http)
    assert job["status"] == "failed"
    assert answer.status_code == 422
    assert set(answer.json()) == ERROR_KEYS
    assert job["error"]["message"] in answer.json()["errors"]


def test_a_job_that_somebody_else_cancels_is_a_409(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "slow", fake_step_s=0.2, iopaint_model=FAKE_MODEL.name) as slow,
        slow.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(ask, client, sd_steps=400)
        until(lambda: client.get("/v1/jobs?status=running").json()["jobs"] != [], "the job to start")
        client.delete(f"/v1/jobs/{job_of(client)['id']}")
        answer = asked.result(3 * DEADLINE_S)
        assert answer.status_code == 409
        assert set(answer.json()) == ERROR_KEYS
        assert "cancelled" in answer.json()["errors"]


def test_a_sampler_that_is_not_used_is_not_looked_at(http: httpx.Client) -> None:
    http.post("/api/v1/model", json={"name": "patchmatch"})
    assert ask(http, sd_sampler="nope", ldm_sampler="nope").status_code == 200


def test_a_bad_model_name_changes_nothing(http: httpx.Client) -> None:
    """The original answers nothing but 500 from then on."""
    refused = http.post("/api/v1/model", json={"name": "nope"})
    assert refused.status_code == 404
    assert set(refused.json()) == ERROR_KEYS
    assert http.get("/api/v1/model").json()["name"] == FAKE_MODEL.name
    assert ask(http, sd_steps=1).status_code == 200


def test_the_page_is_told_what_a_diffusion_model_can_do(http: httpx.Client) -> None:
    told = http.get("/api/v1/server-config").json()
    (model,) = [model for model in told["modelInfos"] if model["name"] == FAKE_MODEL.name]
    assert model["need_prompt"] is model["support_strength"] is model["support_outpainting"] is True
    assert model["support_brushnet"] is model["support_powerpaint_v2"] is False
    assert {"plugins", "modelInfos"} <= set(told)
