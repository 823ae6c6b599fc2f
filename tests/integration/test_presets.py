"""Presets on a real server: listed, laid under requests, stored with the job."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.viewers import finished, submit
from tests.servers import thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")


def write(path: Path, **values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), "utf-8")


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of an installation of Fooocus, which has presets beside them."""
    home = tmp_path_factory.mktemp("Fooocus")
    write(home / "config.txt", path_checkpoints="models/checkpoints")
    write(home / "presets" / "mine.json", default_cfg_scale=6.5, default_overwrite_step=2, default_aspect_ratio="64*96")
    write(home / "presets" / "anime.json", default_image_number=2)
    (home / "models").mkdir()
    return home / "models"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[httpx.Client]:
    with (
        thread_server(tmp_path_factory.mktemp("data"), models_dir=models_dir) as server,
        server.client() as client,
    ):
        yield client


def test_the_presets_of_an_installation_of_fooocus_are_listed_beside_the_packaged_ones(http: httpx.Client) -> None:
    listed = {preset["name"]: preset for preset in http.get("/v1/presets").json()["presets"]}
    assert listed["mine"] == {
        "name": "mine",
        "source": "files",
        "params": {"guidance_scale": 6.5, "steps": 2, "width": 64, "height": 96},
        "models": [],
        "unused": [],
    }
    assert listed["anime"]["source"] == "files"
    assert listed["realistic"]["source"] == "packaged"


def test_the_job_shows_what_its_preset_gave_and_has_it(http: httpx.Client) -> None:
    job = finished(http, submit(http, "text_to_image", params={"prompt": "a cat", "preset": "mine", "width": 32})["id"])
    assert job["params"]["preset"] == "mine"
    assert job["params"]["guidance_scale"] == 6.5
    assert (job["params"]["steps"], job["params"]["width"], job["params"]["height"]) == (2, 32, None)
    assert job["outputs"][0]["width"] == 32
    whole = finished(http, submit(http, "text_to_image", params={"prompt": "a cat", "preset": "mine"})["id"])
    assert (whole["outputs"][0]["width"], whole["outputs"][0]["height"]) == (64, 96)


def test_a_preset_that_is_put_there_is_found_by_the_next_request(http: httpx.Client, models_dir: Path) -> None:
    asked = {"task": "text_to_image", "params": {"prompt": "a cat", "preset": "late"}}
    refused = http.post("/v1/jobs", json=asked)
    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid_params"
    assert refused.json()["detail"].startswith("preset: there is no preset 'late'")
    write(models_dir / "presets" / "late.json", default_overwrite_step=3)
    assert http.post("/v1/jobs", json=asked).json()["params"]["steps"] == 3


def test_an_accepted_job_stays_what_it_is_when_its_preset_changes(http: httpx.Client, models_dir: Path) -> None:
    write(models_dir / "presets" / "changing.json", default_overwrite_step=3)
    job = submit(http, "text_to_image", params={"prompt": "a cat", "preset": "changing"})
    write(models_dir / "presets" / "changing.json", default_overwrite_step=44)
    assert finished(http, job["id"])["params"]["steps"] == 3


def test_a_task_without_presets_refuses_the_parameter(http: httpx.Client) -> None:
    answer = http.post("/v1/jobs", json={"task": "test_pattern", "params": {"preset": "mine"}})
    assert answer.status_code == 422
    assert "$.params.preset" in answer.text
