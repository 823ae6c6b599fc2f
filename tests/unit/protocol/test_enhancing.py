from typing import Any

import pytest

from protocol.enhancing import Enhancing
from protocol.errors import ProtocolError
from protocol.requests import parse_job_request

FACE = {"text": "face"}


def read(enhance: Any, task: str = "enhance", **params: Any) -> Any:
    own = {"image": "upload:a"} if task == "enhance" else {}
    return parse_job_request({"task": task, "params": {"prompt": "a", **own, "enhance": enhance, **params}}).params


@pytest.mark.parametrize(
    ("enhance", "message"),
    [
        (None, "needs an enhance"),
        ({}, "needs at least one region, or a rework"),
        ({"regions": [{}]}, "needs one of text and subject"),
        ({"regions": [{**FACE, "subject": "auto"}]}, "needs one of text and subject"),
        ({"regions": [FACE] * 11}, "regions"),
        ({"rework": {"redraw": False}}, "needs an upscale where redraw is false"),
        ({"rework": {"upscale_model": "auto"}}, "needs an upscale for its upscale_model"),
        ({"rework": {"upscale": 2.0, "size_rule": "model"}}, "needs one of upscale and size_rule"),
    ],
)
def test_what_cannot_be_meant_is_refused(enhance: Any, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        read(enhance)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("strength", 0.0, 1.0),
        ("context", 0.0, 1.0),
        ("grow_px", -256, 256),
        ("mask_blur_px", 0, 256),
        ("box_threshold", 0.0, 1.0),
        ("text_threshold", 0.0, 1.0),
        ("max_detections", 0, 100),
        ("grow_box_px", -256, 256),
    ],
)
def test_a_regions_numbers_have_both_ends(field: str, low: float, high: float) -> None:
    for value in (low, high):
        assert getattr(read({"regions": [{**FACE, field: value}]}).enhance.regions[0], field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ProtocolError, match=field):
            read({"regions": [{**FACE, field: value}]})


@pytest.mark.parametrize("task", ["text_to_image", "enhance"])
def test_a_picture_that_is_made_and_one_that_is_given_are_enhanced_alike(task: str) -> None:
    enhance: Enhancing = read({"regions": [FACE], "rework": {"when": "after"}}, task).enhance
    assert (enhance.stages, enhance.regions[0].text, enhance.keep_stages) == (2, "face", False)


def test_a_rework_changes_less_where_it_enlarges() -> None:
    assert read({"rework": {}}).enhance.rework.share == 0.5
    assert read({"rework": {"upscale": 2.0}}).enhance.rework.share == 0.382
    assert read({"rework": {"upscale": 2.0, "strength": 0.9}}).enhance.rework.share == 0.9
