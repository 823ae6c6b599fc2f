"""Where the pictures of a request are, those in lists among them."""

from protocol.pictures import picture_refs, pictures_in, with_pictures
from protocol.requests import TaskName, parse_job_request

CONTROLS = [{"model": "edges", "image": "upload:a"}, {"model": "depth", "image": "upload:b", "scale": 0.5}]


def test_pictures_are_named_by_where_they_are() -> None:
    params = {"prompt": "a cat", "image": "upload:c", "mask": "upload:d", "controls": CONTROLS}
    request = parse_job_request({"task": "inpaint", "params": params})
    refs = {
        "image": "upload:c",
        "mask": "upload:d",
        "controls[0].image": "upload:a",
        "controls[1].image": "upload:b",
    }
    assert picture_refs(request) == refs
    assert pictures_in(TaskName.INPAINT, params) == refs


def test_a_task_without_pictures_has_none() -> None:
    request = parse_job_request({"task": "text_to_image", "params": {"prompt": "a cat"}})
    assert picture_refs(request) == pictures_in(TaskName.TEXT_TO_IMAGE, {"prompt": "a cat"}) == {}


def test_what_is_not_as_it_should_be_has_no_pictures() -> None:
    for controls in (None, 3, "edges", [None, 3, {}, {"image": None}]):
        assert pictures_in(TaskName.TEXT_TO_IMAGE, {"controls": controls}) == {}


def test_pictures_are_replaced_where_they_are_and_nothing_else_is() -> None:
    params = {"prompt": "a cat", "image": "upload:c", "controls": CONTROLS}
    changed = with_pictures(params, {"image": "inline:1", "controls[1].image": "inline:2"})
    assert changed == {
        "prompt": "a cat",
        "image": "inline:1",
        "controls": [CONTROLS[0], {**CONTROLS[1], "image": "inline:2"}],
    }
    assert params["image"] == "upload:c"
    assert CONTROLS[1]["image"] == "upload:b"
