"""Plugins by IOPaint's names, done by our tasks; the pictures are those of the engine without models."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.dialects.golden import ERROR_KEYS, cases, differences, send
from tests.servers import ThreadServer, thread_server

BRUSH = (255, 203, 0, 186)
ALL = ("InteractiveSeg", "RemoveBG", "AnimeSeg", "RealESRGAN", "GFPGAN", "RestoreFormer")
RECORDED = {case.name: case for case in cases("iopaint", "plugins_zero_weights")}


def picture() -> str:
    buffer = io.BytesIO()
    Image.effect_mandelbrot((48, 36), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", listen="0=iopaint", iopaint_plugins=ALL) as running:
        yield running


def plug(http: httpx.Client, kind: str, name: str, **fields: Any) -> httpx.Response:
    return http.post(f"/api/v1/run_plugin_gen_{kind}", json={"name": name, "image": picture(), **fields})


def jobs(http: httpx.Client) -> list[dict[str, Any]]:
    """Oldest first."""
    listed: list[dict[str, Any]] = http.get("/v1/jobs").json()["jobs"]
    return listed[::-1]


@pytest.mark.parametrize(
    ("name", "fields", "task"),
    [
        ("InteractiveSeg", {"clicks": [[20, 15, 1], [3, 3, 0, 1]]}, "segment"),
        ("RemoveBG", {}, "remove_background"),
        ("AnimeSeg", {}, "remove_background"),
    ],
)
def test_a_mask_is_a_layer_in_the_colour_of_the_brush(
    http: httpx.Client, name: str, fields: dict[str, Any], task: str
) -> None:
    answer = plug(http, "mask", name, **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as layer:
        assert (layer.mode, layer.size) == ("RGBA", (48, 36))
        colours = {colour for _, colour in layer.getcolors(48 * 36) or ()}
    assert colours <= {BRUSH, (0, 0, 0, 0)}
    assert BRUSH in colours
    found, grown = jobs(http)
    assert (found["task"], grown["task"]) == (task, "adjust_mask")
    assert {"operation": "expand", "by_px": 4, "shape": "box"}.items() <= grown["params"].items()


def test_clicks_are_points_with_what_they_mean(http: httpx.Client) -> None:
    plug(http, "mask", "InteractiveSeg", clicks=[[20, 15, 1], [3, 4, 0, 7]])
    points = jobs(http)[0]["params"]["points"]
    assert points == [{"x": 20.0, "y": 15.0, "include": True}, {"x": 3.0, "y": 4.0, "include": False}]


@pytest.mark.parametrize(
    ("name", "task", "params"),
    [
        ("RemoveBG", "remove_background", {"result": "cutout", "model": "auto"}),
        ("AnimeSeg", "remove_background", {"result": "cutout", "model": "isnet-anime"}),
        ("GFPGAN", "restore_face", {"model": "gfpgan", "enhance_background": True}),
        ("RestoreFormer", "restore_face", {"model": "restoreformer", "enhance_background": True}),
        ("RealESRGAN", "upscale", {"factor": 3.0, "resampling": "lanczos", "model": "compact"}),
    ],
)
def test_a_picture_is_a_png_with_what_the_input_said_of_itself(
    http: httpx.Client, name: str, task: str, params: dict[str, Any]
) -> None:
    answer = plug(http, "image", name, scale=3)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "x-seed" not in answer.headers
    (job,) = jobs(http)
    assert job["task"] == task
    assert {**params, "format": "png", "keep_metadata": True}.items() <= job["params"].items()


def test_a_model_that_is_here_can_be_switched_to_and_is_told(http: httpx.Client) -> None:
    switch = {"plugin_name": "RealESRGAN", "model_name": "RealESRGAN_x4plus_anime_6B"}
    answer = http.post("/api/v1/switch_plugin_model", json=switch)
    assert (answer.status_code, answer.json()) == (200, None)
    assert http.get("/api/v1/server-config").json()["realesrganModel"] == "RealESRGAN_x4plus_anime_6B"
    plug(http, "image", "RealESRGAN", scale=2)
    assert jobs(http)[0]["params"]["model"] == "x4plus-anime"


@pytest.mark.parametrize(
    "switch",
    [("RealESRGAN", "nope"), ("InteractiveSeg", "sam2_1_huge"), ("RemoveBG", "briaai/RMBG-1.4")],
)
def test_a_model_that_is_not_here_changes_nothing(http: httpx.Client, switch: tuple[str, str]) -> None:
    """The original answers 500, or downloads it while the caller waits."""
    before = http.get("/api/v1/server-config").json()
    answer = http.post("/api/v1/switch_plugin_model", json={"plugin_name": switch[0], "model_name": switch[1]})
    assert answer.status_code == 422
    assert set(answer.json()) == ERROR_KEYS
    assert http.get("/api/v1/server-config").json() == before


@pytest.mark.parametrize("case", ["interactive_seg_no_clicks", "interactive_seg_short_click", "switch_bad_model"])
def test_a_mistake_of_the_caller_is_a_422_and_no_500(http: httpx.Client, case: str) -> None:
    answer = send(http, RECORDED[case])
    assert RECORDED[case].status == 500
    assert answer.status_code == 422
    assert set(answer.json()) == ERROR_KEYS


@pytest.mark.parametrize("case", ["realesrgan_gen_mask_refused", "realesrgan_scale_null"])
def test_what_was_refused_is_refused_in_the_same_words(http: httpx.Client, case: str) -> None:
    assert differences(RECORDED[case], send(http, RECORDED[case])) == []


def test_only_enabled_plugins_are_shown_and_run(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", iopaint_plugins="RealESRGAN,nope") as server,
        server.client() as client,
    ):
        shown = client.get("/api/v1/server-config").json()["plugins"]
        assert shown == [{"name": "RealESRGAN", "support_gen_image": True, "support_gen_mask": False}]
        for name in ("RemoveBG", "nope"):
            answer = plug(client, "image", name)
            assert (answer.status_code, answer.json()["detail"]) == (422, "Plugin not found")
