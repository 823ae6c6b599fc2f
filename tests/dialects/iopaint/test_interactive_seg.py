"""Every model of InteractiveSeg can be switched to and clicks, over sockets; and a small one on the real engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from engine.plugins.published import PLUGIN_MODELS
from protocol.segmenting import SegmentModel
from service.dialects.iopaint.plugins import PLUGINS
from service.settings import SettingsError, load
from tests.dialects.golden import ERROR_KEYS
from tests.dialects.iopaint.test_plugins import jobs, plug
from tests.servers import ThreadServer, thread_server
from tests.unit.engine.segmentation.references import reference_sam2

NAMES = PLUGINS["InteractiveSeg"].listed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("seg") / "data", listen="0=iopaint") as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def switch(http: httpx.Client, name: str) -> httpx.Response:
    return http.post("/api/v1/switch_plugin_model", json={"plugin_name": "InteractiveSeg", "model_name": name})


def click(http: httpx.Client) -> httpx.Response:
    return plug(http, "mask", "InteractiveSeg", clicks=[[20, 15, 1]])


def told(http: httpx.Client) -> str:
    name: str = http.get("/api/v1/server-config").json()["interactiveSegModel"]
    return name


@pytest.mark.parametrize("name", NAMES)
def test_each_model_can_be_switched_to_and_is_the_one_that_clicks(http: httpx.Client, name: str) -> None:
    answer = switch(http, name)
    assert (answer.status_code, answer.json()) == (200, None)
    assert told(http) == name
    assert click(http).status_code == 200
    asked = next(job for job in reversed(jobs(http)) if job["task"] == "segment")["params"]["model"]
    assert asked == (f"sam_{name}" if name.startswith("vit_") else name)


def test_every_model_of_segment_is_one_of_the_plugin() -> None:
    served = [each.params["model"] for each in PLUGINS["InteractiveSeg"].served.values()]
    assert sorted(served) == sorted(SegmentModel)


def test_the_setting_names_the_model_of_the_beginning(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", iopaint_interactive_seg_model="sam_hq_vit_b") as server,
        server.client() as client,
    ):
        assert told(client) == "sam_hq_vit_b"
        click(client)
        assert jobs(client)[0]["params"]["model"] == "sam_hq_vit_b"


def test_the_setting_takes_the_names_of_the_plugin_and_no_others() -> None:
    for name in NAMES:
        assert load(None, {"iopaint_interactive_seg_model": name}).iopaint_interactive_seg_model == name
    for name in ("vit_x", "sam_vit_b", "sam2_1", "sam2_tiny_"):
        with pytest.raises(SettingsError, match="iopaint_interactive_seg_model"):
            load(None, {"iopaint_interactive_seg_model": name})


def test_what_cannot_be_fetched_cannot_be_switched_to(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", allow_model_downloads=False) as server, server.client() as client:
        answer = switch(client, "sam2_1_tiny")
        assert answer.status_code == 422
        assert set(answer.json()) == ERROR_KEYS
        assert told(client) == "mobile_sam"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server that downloads nothing, with a small SAM 2 in a hub's cache, and a file that holds something else."""
    folder = tmp_path_factory.mktemp("real")
    reference_sam2().save_pretrained(folder / "models/models--facebook--sam2-hiera-tiny/snapshots/abc")
    torch.save({"weight": torch.zeros(1)}, folder / "models" / "sam2.1_hiera_tiny.pt")
    with thread_server(
        folder / "data",
        engine="torch",
        device="cpu",
        cpu_threads=1,
        models_dir=folder / "models",
        listen="0=iopaint",
        iopaint_model="cv2",
        allow_model_downloads=False,
    ) as server:
        yield server


def test_a_file_in_a_folder_is_used_without_a_network(real: ThreadServer) -> None:
    with real.client() as client:
        assert switch(client, "sam2_tiny").status_code == 200
        assert click(client).status_code == 200
        segmented = next(job for job in jobs(client) if job["task"] == "segment")
    assert (segmented["status"], segmented["params"]["model"]) == ("succeeded", "sam2_tiny")


def test_a_wrong_file_is_told_with_the_names_of_model_and_file(real: ThreadServer) -> None:
    with real.client() as client:
        assert switch(client, "sam2_1_tiny").status_code == 200
        answer: dict[str, Any] = click(client).json()
    assert set(answer) == ERROR_KEYS
    assert "the model 'sam2_1_tiny' cannot be used: sam2.1_hiera_tiny.pt does not hold its weights" in str(answer)


def test_the_published_list_has_every_model_but_the_packaged_one() -> None:
    assert set(SegmentModel) - set(PLUGIN_MODELS) == {SegmentModel.MOBILE_SAM}
