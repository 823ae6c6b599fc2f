"""Image prompts: when they count, and what of a picture they take."""

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.guides import PromptFit, Shown
from protocol.requests import parse_job_request


def asked(**more):
    prompt = {"model": "m", "image": "upload:a", **more}
    return parse_job_request({"task": "text_to_image", "params": {"prompt": "a cat", "image_prompts": [prompt]}})


def test_a_prompt_counts_in_all_steps_and_takes_the_middle_of_a_picture_unless_told():
    (prompt,) = asked().params.image_prompts
    assert (prompt.start, prompt.end, prompt.weight) == (0, 1, 1)
    assert (prompt.kind, prompt.fit) == (Shown.PICTURE, PromptFit.CROP)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"start": 0.5, "end": 0.5}, "needs a start before its end"),
        ({"end": 0.0}, "needs a start before its end"),
        ({"end": 1.5}, "0..1"),
        ({"weight": 2.5}, "0..2"),
        ({"kind": "hand"}, "face"),
        ({"fit": "stretch"}, "squash"),
        ({"stop": 0.5}, "stop"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(more, told):
    with pytest.raises(ProtocolError, match=told) as refused:
        asked(**more)
    assert refused.value.code is ErrorCode.INVALID_PARAMS
    assert "image_prompts" in str(refused.value)
