from typing import Any

import pytest

from protocol.errors import ProtocolError
from protocol.requests import parse_job_request

POINT = {"x": 0, "y": 0}
BOX = {"x": 0, "y": 0, "width": 4, "height": 4}


def read(**params: Any) -> Any:
    return parse_job_request({"task": "segment", "params": {"image": "upload:a", **params}}).params


@pytest.mark.parametrize("prompt", [{"points": [POINT]}, {"box": BOX}, {"points": [POINT], "box": BOX}, {"text": "a"}])
def test_clicks_a_box_or_words_are_enough(prompt: dict[str, Any]) -> None:
    assert read(**prompt)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "needs a box, at least one point with include true, or a text"),
        ({"points": [{**POINT, "include": False}]}, "needs a box, at least one point with include true, or a text"),
        ({"text": "a", "points": [POINT]}, "needs no points, box or count above 1 beside a text"),
        ({"text": "a", "box": BOX}, "needs no points, box or count above 1 beside a text"),
        ({"text": "a", "count": 2}, "needs no points, box or count above 1 beside a text"),
    ],
)
def test_objects_are_asked_for_one_way_only(prompt: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        read(**prompt)


def test_what_counts_beside_words_alone_is_known_where_there_are_none() -> None:
    assert read(points=[POINT], box_threshold=0.3, together=True).unused == ["box_threshold", "together"]
    assert read(text="a", box_threshold=0.3).unused == []
