"""`/v1/styles` on a running server, and jobs that name what it lists."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import DEADLINE_S, ThreadServer, thread_server


@pytest.fixture
def server(tmp_path: Path, models_dir: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", models_dir=models_dir) as running:
        yield running


def listed(http: httpx.Client) -> dict[str, dict[str, Any]]:
    answer = http.get("/v1/styles")
    assert answer.status_code == 200, answer.text
    return {style["name"]: style for style in answer.json()["styles"]}


def submitted(http: httpx.Client, *styles: str) -> httpx.Response:
    params = {"prompt": "a cat", "styles": styles, "prompt_syntax": "fooocus"}
    return http.post("/v1/jobs", json={"task": "text_to_image", "params": params})


def add(models_dir: Path, **style: str) -> None:
    (models_dir / "styles").mkdir(exist_ok=True)
    (models_dir / "styles" / "own.json").write_text(json.dumps([style]))


def test_all_styles_that_clients_know_are_listed(http: httpx.Client) -> None:
    styles = listed(http)
    assert len(styles) == 279
    assert list(styles)[:3] == ["Fooocus V2", "Random Style", "Fooocus Enhance"]
    assert styles["Fooocus V2"] == {"name": "Fooocus V2", "source": "built_in"}
    assert "{prompt}" in styles["SAI Anime"]["prompt"]


def test_a_style_put_there_while_the_server_runs_is_listed_and_can_be_used(
    http: httpx.Client, models_dir: Path
) -> None:
    refused = submitted(http, "SAI Anime", "mine")
    assert refused.status_code == 422
    assert refused.json()["field"] == "$.params.styles[1]"
    add(models_dir, name="mine", prompt="{prompt} of mine")
    accepted = submitted(http, "SAI Anime", "mine")
    job = http.get(accepted.headers["location"], params={"wait": DEADLINE_S}).json()
    assert job["outputs"][0]["data"]["prompt"][-1] == "a cat of mine"
    assert job["outputs"][0]["data"]["styles"] == ["SAI Anime", "Mine"]
    assert listed(http)["Mine"]["source"] == "files"


def test_an_unknown_style_is_refused_with_the_names_that_are_close(http: httpx.Client) -> None:
    problem = submitted(http, "SAI Animee").json()
    assert problem["code"] == "invalid_params"
    assert "close to it: 'SAI Anime'" in problem["detail"]
