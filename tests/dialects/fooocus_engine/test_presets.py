"""Presets: what is left at its default comes from them, and what is asked for otherwise stays."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_engine.callers import GENERATE, PROFILE, generated, job_id
from tests.dialects.jobs import ended, warnings_of
from tests.servers import thread_server

PRESET = {
    "default_model": "no-such-model.safetensors",
    "default_cfg_scale": 6.5,
    "default_sample_sharpness": 9.0,
    "default_loras": [[True, "None", 1.0], [True, "no-such-lora.safetensors", 0.25]],
    "default_styles": ["SAI Anime"],
    "default_overwrite_step": 7,
    "default_clip_skip": 3,
    "default_sampler": "euler",
    "default_aspect_ratio": "64*96",
    "default_image_number": 2,
    "default_performance": "Quality",
}


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("presets")
    (folder / "models" / "presets").mkdir(parents=True)
    for name, values in (("mine", PRESET), ("broken", {"default_cfg_scale": -4}), ("small", {"default_cfg_scale": 3})):
        (folder / "models" / "presets" / f"{name}.json").write_text(json.dumps(values), "utf-8")
    with (
        thread_server(folder / "data", listen=PROFILE, models_dir=folder / "models") as server,
        server.client() as client,
    ):
        yield client


def test_a_preset_gives_what_is_left_at_its_default_its_guidance_and_loras_too(caller: httpx.Client) -> None:
    """In the original its guidance went into `adaptive_cfg`, and its LoRAs nowhere."""
    record = caller.post(GENERATE, json={"prompt": "a cat", "preset": "mine"}).json()
    told = record["req_params"]
    expected: dict[str, Any] = {
        "guidance_scale": 6.5,
        "adaptive_cfg": 7.0,
        "sharpness": 9.0,
        "style_selections": ["SAI Anime"],
        "overwrite_step": 7,
        "clip_skip": 3,
        "sampler_name": "euler",
        "aspect_ratios_selection": "64×96",
        "image_number": 2,
        "performance_selection": "Quality",
        "preset": "mine",
    }
    assert {name: told[name] for name in expected} == expected
    assert told["loras"][:6] == [True, "no-such-lora.safetensors", 0.25, True, "None", 1.0]
    params = ended(caller, job_id(record["task_id"]))["params"]
    assert (params["guidance_scale"], params["adaptive_guidance"], params["sharpness"]) == (6.5, 7.0, 9.0)
    assert (params["steps"], params["images"], params["styles"]) == (7, 2, ["SAI Anime"])
    assert (params["width"], params["height"], params["clip_skip"]) == (64, 96, 1)
    warned = " ".join(warnings_of(caller, job_id(record["task_id"])))
    assert "no-such-model" in warned
    assert "no-such-lora" in warned
    assert len(record["result"]) == 2


def test_what_is_asked_for_stays_and_what_a_preset_leaves_out_is_the_usual(caller: httpx.Client) -> None:
    """In the original what a preset leaves out became null."""
    told = generated(caller, preset="small", sharpness=5, guidance_scale=4.5)["req_params"]
    assert (told["sharpness"], told["guidance_scale"], told["adaptive_cfg"]) == (5, 4.5, 7.0)
    told = generated(caller, preset="small.json", guidance_scale=4.0)["req_params"]
    assert told["guidance_scale"] == 3, "the default counts as not given, as in the original"
    assert [name for name, value in told.items() if value is None] == ["save_name"]


@pytest.mark.parametrize(("name", "code"), [("no such preset", "unknown_name"), ("broken", "preset_incomplete")])
def test_a_preset_that_cannot_be_had_is_left_out_but_not_in_silence(caller: httpx.Client, name: str, code: str) -> None:
    record = generated(caller, preset=name)
    assert (record["task_status"], record["req_params"]["guidance_scale"]) == ("finished", 4.0)
    assert any(told.startswith(f"{code}: preset:") for told in warnings_of(caller, job_id(record["task_id"])))


def test_no_preset_is_initial(caller: httpx.Client) -> None:
    record = generated(caller)
    assert record["req_params"]["preset"] == "initial"
    assert not any("preset" in told for told in warnings_of(caller, job_id(record["task_id"])))


def test_a_picture_alone_is_one_whatever_the_preset_says(caller: httpx.Client) -> None:
    answer = caller.post(GENERATE, json={"preset": "mine"}, headers={"Accept": "image/png"})
    assert ended(caller, answer.headers["X-Job-Id"])["params"]["images"] == 1
