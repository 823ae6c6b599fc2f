"""Tools for masks and faces on the real server: one job's mask is the next one's, and lists say what can be used."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.integration.viewers import finished, inline, png, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("masks") / "data") as running:
        yield running


def mask_of(http: httpx.Client, job_id: str, folder: Path) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    path = folder / f"{job_id}.png"
    path.write_bytes(http.get(f"/v1/jobs/{job_id}/outputs/0").content)
    with Image.open(path) as image:
        return np.array(image.convert("L"))


def test_the_mask_of_one_job_is_widened_by_the_next(http: httpx.Client, tmp_path: Path) -> None:
    clicked = finished(
        http, submit(http, "segment", params={"image": inline(png()), "points": [{"x": 9, "y": 9}]})["id"]
    )
    params = {"mask": f"job:{clicked['id']}/0", "operation": "expand", "by_px": 1, "shape": "box"}
    widened = finished(http, submit(http, "adjust_mask", params=params)["id"])
    before, after = (mask_of(http, job["id"], tmp_path) > 127 for job in (clicked, widened))
    assert before.shape == after.shape
    assert (after >= before).all()
    assert widened["outputs"][0]["data"]["area_px"] == after.sum() > before.sum()


def test_a_mask_that_is_no_picture_is_refused_before_there_is_a_job(http: httpx.Client) -> None:
    body = {"task": "adjust_mask", "params": {"mask": inline(b"no picture"), "operation": "expand"}}
    refused = http.post("/v1/jobs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_image")
    assert refused.json()["field"] == "$.params.mask"


def test_faces_are_restored_in_the_size_of_the_picture(http: httpx.Client) -> None:
    job = finished(http, submit(http, "restore_face", params={"image": inline(png()), "format": "jpeg"})["id"])
    assert job["status"] == "succeeded"
    assert job["outputs"][0]["media_type"] == "image/jpeg"
    assert job["outputs"][0]["data"]["faces"]
