from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.guides import ControlRef
from protocol.params import Region
from protocol.requests import Priority, parse_job_request
from safelight.address import Address
from safelight.arguments import request_fields
from safelight.errors import PictureUnreadable, RequestRefused
from safelight.picture import INLINE_BYTES
from safelight.rest import Rest

pytestmark = pytest.mark.anyio
LARGE = b"\x89PNG\r\n\x1a\n" + bytes(INLINE_BYTES)


class Uploads:
    """Takes uploads and counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.rest = Rest(Address("http://127.0.0.1:9"), transport=httpx.MockTransport(self._answer))

    async def fields(self, task: Any, params: dict[str, object], **options: object) -> dict[str, Any]:
        return await request_fields(self.rest, task, params, options)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.count += 1
        return httpx.Response(201, json={"ref": f"upload:{self.count}"})


async def test_pythons_values_become_the_wires() -> None:
    fields = await Uploads().fields(
        "erase",
        {"image": "upload:1", "regions": [(1, 2, 3, 4), Region(x=5, y=6, width=7, height=8)], "seed": None},
        priority=Priority.HIGH,
        labels=None,
    )
    assert fields == {
        "task": "erase",
        "params": {
            "image": "upload:1",
            "regions": [{"x": 1, "y": 2, "width": 3, "height": 4}, {"x": 5, "y": 6, "width": 7, "height": 8}],
        },
        "priority": "high",
    }


async def test_points_and_boxes_may_be_tuples() -> None:
    fields = await Uploads().fields(
        "segment", {"image": "upload:1", "points": [(1, 2), (3, 4, False)], "box": (0, 0, 9, 9)}
    )
    parsed = parse_job_request(fields)
    assert parsed.params.model_dump()["points"][1] == {"x": 3, "y": 4, "include": False}


async def test_large_pictures_are_uploaded_in_the_fields_that_hold_pictures() -> None:
    uploads = Uploads()
    fields = await uploads.fields("erase", {"image": LARGE, "mask": LARGE})
    assert fields["params"] == {"image": "upload:1", "mask": "upload:2"}


async def test_pictures_in_lists_are_uploaded_as_well() -> None:
    uploads = Uploads()
    controls = [ControlRef(model="edges", image="upload:7"), {"model": "depth", "image": LARGE, "scale": 0.5}]
    fields = await uploads.fields("text_to_image", {"prompt": "a cat", "controls": controls})
    assert [control["image"] for control in fields["params"]["controls"]] == ["upload:7", "upload:1"]
    assert fields["params"]["controls"][1]["scale"] == 0.5
    parse_job_request(fields)


async def test_nothing_is_uploaded_for_a_request_with_a_mistake() -> None:
    uploads = Uploads()
    with pytest.raises(RequestRefused, match=r"factor: expected 0\.05\.\.8, got 9") as refusal:
        await uploads.fields("upscale", {"image": LARGE, "factor": 9})
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == ("invalid_params", "$.params.factor", 422)
    assert uploads.count == 0


async def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(RequestRefused, match="there are adjust_mask, describe, enhance, erase"):
        await Uploads().fields("paint_it_black", {"image": Path("nowhere.png")})


async def test_a_file_that_is_not_there_is_told_before_anything_is_sent() -> None:
    uploads = Uploads()
    with pytest.raises(PictureUnreadable, match=r"nowhere\.png"):
        await uploads.fields("erase", {"image": LARGE, "mask": "nowhere.png"})
    assert uploads.count == 0


async def test_a_whole_request_goes_as_it_is() -> None:
    request = parse_job_request({"task": "test_pattern", "params": {"steps": 2}, "labels": {"a": "b"}})
    fields = await Uploads().fields(request, {})
    assert parse_job_request(fields) == request
