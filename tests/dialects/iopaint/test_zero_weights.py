"""Every recording of IOPaint's plugins, made with weights of nothing but zeros, against our networks with the same."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.dialects.golden import ERROR_KEYS, Case, cases, differences, send
from tests.dialects.iopaint.zero_weights import write_zero_weights
from tests.servers import ThreadServer, thread_server

RECORDED: Final = cases("iopaint", "plugins_zero_weights")
REFUSED: Final = {"interactive_seg_no_clicks": 422, "interactive_seg_short_click": 422, "switch_bad_model": 422}
"""Mistakes of callers, 500 there; a row of docs/dialects/iopaint.md."""


@pytest.fixture(scope="module")
def zeroed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server with the plugins of the recordings, and weights of zeros in its models folder."""
    folder = tmp_path_factory.mktemp("zeros")
    write_zero_weights(folder / "models")
    with thread_server(
        folder / "data",
        engine="torch",
        device="cpu",
        cpu_threads=1,
        models_dir=folder / "models",
        listen="0=iopaint",
        iopaint_model="cv2",
        iopaint_plugins=("InteractiveSeg", "AnimeSeg", "RealESRGAN"),
    ) as server:
        yield server


@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_a_plugin_answers_as_recorded(zeroed: ThreadServer, case: Case) -> None:
    with zeroed.client() as client:
        answer = send(client, case)
    if case.name not in REFUSED:
        assert differences(case, answer) == []
        return
    assert answer.status_code == REFUSED[case.name]
    assert set(answer.json()) == ERROR_KEYS


@pytest.mark.parametrize("plugin", ["AnimeSeg", "InteractiveSeg", "RealESRGAN"])
def test_what_answered_was_the_model_of_zeros(zeroed: ThreadServer, plugin: str) -> None:
    """And none that stands in while its weights are not there."""
    tasks = {"AnimeSeg": "remove_background", "InteractiveSeg": "segment", "RealESRGAN": "upscale"}
    models = {"AnimeSeg": "isnet-anime", "InteractiveSeg": "mobile_sam", "RealESRGAN": "general"}
    case = next(case for case in RECORDED if case.request.get("json", {}).get("name") == plugin and case.status == 200)
    with zeroed.client() as client:
        assert send(client, case).status_code == 200
        job = next(job for job in client.get("/v1/jobs").json()["jobs"] if job["task"] == tasks[plugin])
    assert job["status"] == "succeeded"
    assert job["params"]["model"] == models[plugin]
