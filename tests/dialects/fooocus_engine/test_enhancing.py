"""Parts of pictures that are found and repainted, of pictures that are given and of those that are made."""

from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_engine.callers import GENERATE, asked, generated, job_id, messages
from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import b64, png

FACE = {"enhance_enabled": True, "enhance_mask_dino_prompt": "face", "enhance_prompt": "a smile"}
HAND = {"enhance_enabled": True, "enhance_mask_dino_prompt": "hand"}
ON = {"enhance_checkbox": True, "save_final_enhanced_image_only": True}


def done(client: httpx.Client, record: dict[str, Any]) -> tuple[str, list[str]]:
    """The task of ours behind a record, and what its last picture went through."""
    job = ended(client, job_id(record["task_id"]))
    return job["task"], [each["stage"] for each in job["outputs"][-1]["data"].get("enhanced", ())]


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"enhance_input_image": b64(png())}, "enhance"),
        ({}, "text_to_image"),
        ({"uov_input_image": b64(png()), "uov_method": "Vary (Subtle)"}, "image_to_image"),
        ({"inpaint_input_image": b64(png()), "inpaint_mask_image_upload": b64(png())}, "inpaint"),
    ],
)
def test_what_is_given_and_what_is_made_is_enhanced(client: httpx.Client, fields: dict[str, Any], task: str) -> None:
    record = generated(client, **fields, **ON, enhance_ctrls=[FACE, HAND])
    assert (record["task_status"], len(record["result"])) == ("finished", 1)
    assert done(client, record) == (task, ["region", "region"])
    shown = record["req_params"]["enhance_ctrls"]
    assert [(each["enhance_mask_dino_prompt"], each["enhance_prompt"]) for each in shown] == [
        ("face", "a smile"),
        ("hand", ""),
        ("", ""),
    ]


def test_pictures_between_are_results_unless_the_last_is_to_be_alone(client: httpx.Client) -> None:
    record = generated(client, enhance_checkbox=True, enhance_ctrls=[FACE, HAND], image_number=2)
    assert len(record["result"]) == 6
    assert len(set(record["result"])) == 6


def test_all_of_a_picture_is_varied_once_it_is_made(client: httpx.Client) -> None:
    assert done(client, generated(client, **ON, enhance_uov_method="Vary (Subtle)")) == ("text_to_image", ["rework"])
    last = {"enhance_uov_method": "Upscale (2x)", "enhance_uov_processing_order": "After Last Enhancement"}
    record = generated(client, **ON, **last, enhance_ctrls=[FACE])
    assert done(client, record) == ("text_to_image", ["region", "rework"])


def test_nothing_is_enhanced_unless_that_is_on(client: httpx.Client) -> None:
    assert done(client, generated(client, enhance_ctrls=[FACE])) == ("text_to_image", [])


def test_what_is_not_found_is_told_and_the_rest_goes_on(client: httpx.Client) -> None:
    record = generated(client, **ON, enhance_ctrls=[{**FACE, "enhance_mask_dino_prompt": "nothing"}, HAND])
    assert done(client, record) == ("text_to_image", ["region"])
    assert any(each.startswith("nothing_found: ") for each in warnings_of(client, job_id(record["task_id"])))


def test_a_stream_tells_of_all_stages_as_one_work(client: httpx.Client) -> None:
    asked_for = asked(stream_output=True, enhance_checkbox=True, enhance_ctrls=[FACE, HAND], image_number=2)
    with client.stream("POST", GENERATE, json=asked_for) as answer:
        told = list(messages(answer.iter_lines()))
    progress = [message["progress"] for message in told]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert len(told[-1]["images"]) == 6
