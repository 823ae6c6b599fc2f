"""What a control needs: a picture of its own, or a way to make one of the job's."""

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.pictures import picture_refs
from protocol.requests import parse_job_request

TASKS = {
    "text_to_image": {},
    "image_to_image": {"image": "upload:a"},
    "inpaint": {"image": "upload:a", "regions": [{"x": 0, "y": 0, "width": 4, "height": 4}]},
    "outpaint": {"image": "upload:a", "left": 4},
}
READY = {"image": "upload:b"}
EDGES = {"preprocess": "canny"}
EDGES_OF_ANOTHER = {"preprocess": "canny", "image": "upload:b"}
HOLE = {"preprocess": "inpaint"}


def asked(task, control):
    params = {"prompt": "a cat", **TASKS[task], "controls": [{"model": "c", **control}]}
    return parse_job_request({"task": task, "params": params})


@pytest.mark.parametrize(
    ("task", "control"),
    [
        *((task, control) for task in TASKS for control in (READY, EDGES_OF_ANOTHER)),
        *((task, EDGES) for task in ("image_to_image", "inpaint", "outpaint")),
        *((task, HOLE) for task in ("inpaint", "outpaint")),
    ],
)
def test_a_control_that_has_something_to_follow_is_taken(task, control):
    refs = picture_refs(asked(task, control))
    assert ("controls[0].image" in refs) == ("image" in control)


@pytest.mark.parametrize(
    ("task", "control", "told"),
    [
        ("inpaint", {}, "needs an image"),
        ("inpaint", {**HOLE, "image": "upload:b"}, "needs no image"),
        ("inpaint", {"preprocess": "sketch"}, "canny"),
        ("inpaint", {**EDGES, "fit": "cover"}, "needs an image for its fit"),
        ("inpaint", {**READY, "canny_low": 50}, "needs preprocess canny or pyra_canny"),
        ("inpaint", {**READY, "preprocess": "cpds", "canny_high": 50}, "needs preprocess canny or pyra_canny"),
        ("inpaint", {**EDGES, "canny_low": 0}, "1..255"),
        ("text_to_image", EDGES, r"controls\[0\] needs an image"),
        ("text_to_image", HOLE, r"controls\[0\]"),
        ("image_to_image", HOLE, "for inpaint and outpaint"),
    ],
    ids=str,
)
def test_a_control_without_is_refused_by_name(task, control, told):
    with pytest.raises(ProtocolError, match=told) as refused:
        asked(task, control)
    assert refused.value.code is ErrorCode.INVALID_PARAMS
    assert "controls" in str(refused.value)
