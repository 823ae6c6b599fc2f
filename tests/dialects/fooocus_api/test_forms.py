"""The forms of version 1, with their quirks; and both versions' routes under the names of older ones."""

import json
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_api.callers import SIZE, mask
from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import b64, opened, png

UPSCALE = "/v1/generation/image-upscale-vary"
INPAINT = "/v1/generation/image-inpaint-outpaint"
PROMPT = "/v1/generation/image-prompt"
IMAGE = {"input_image": png()}


def job_of(client: httpx.Client, path: str, data: dict[str, Any], files: Any = None) -> dict[str, Any]:
    """The job of ours that a form becomes, after its end."""
    answer = client.post(path, data={"aspect_ratios_selection": SIZE, **data}, files=files if files else None)
    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["finish_reason"] == "SUCCESS"
    return ended(client, answer.headers["X-Job-Id"])


@pytest.mark.parametrize(
    "given", [["SAI Anime", "Fooocus Sharp"], "SAI Anime,Fooocus Sharp", ["SAI Anime, Fooocus Sharp"]]
)
def test_styles_are_repeated_or_joined(client: httpx.Client, given: Any) -> None:
    job = job_of(client, UPSCALE, {"uov_method": "Vary (Subtle)", "style_selections": given}, IMAGE)
    assert job["params"]["styles"] == ["SAI Anime", "Fooocus Sharp"]


@pytest.mark.parametrize("given", ["Left,Right", "Left, Right", ["Left", "Right"], ["Left,Right", "Left"]])
def test_sides_are_repeated_or_joined_with_and_without_a_blank(client: httpx.Client, given: Any) -> None:
    job = job_of(client, INPAINT, {"outpaint_selections": given}, IMAGE)
    assert (job["params"]["left"], job["params"]["right"]) == (19, 19), "30 % of 64 px"
    assert (job["params"]["top"], job["params"]["bottom"]) == (0, 0)


def test_distances_are_taken_in_pixels(client: httpx.Client) -> None:
    data = {"outpaint_selections": "Top,Bottom", "outpaint_distance_top": 7, "outpaint_distance_bottom": 9}
    job = job_of(client, INPAINT, data, IMAGE)
    assert (job["params"]["top"], job["params"]["bottom"]) == (7, 9)


def test_a_mask_may_come_with_the_picture_and_an_empty_one_is_none(client: httpx.Client) -> None:
    job = job_of(client, INPAINT, {"prompt": "a cat"}, {**IMAGE, "input_mask": mask()})
    assert (job["task"], job["params"]["mask"][:7]) == ("inpaint", "inline:")
    job = job_of(client, INPAINT, {"outpaint_selections": "Left"}, {**IMAGE, "input_mask": ("m.png", b"")})
    assert job["params"]["mask"] is None


def test_structures_come_as_json_in_a_text(client: httpx.Client) -> None:
    loras = json.dumps([{"model_name": "none-such.safetensors", "weight": 0.3}])
    advanced = json.dumps({"overwrite_step": 9, "sampler_name": "euler"})
    data = {"uov_method": "Vary (Strong)", "loras": loras, "advanced_params": advanced}
    job = job_of(client, UPSCALE, data, IMAGE)
    assert (job["params"]["steps"], job["params"]["scheduler"]) == (9, "euler")
    assert any("'none-such.safetensors'" in told for told in warnings_of(client, job["id"]))


@pytest.mark.parametrize("given", ["{bad", '{"overwrite_step": 999}', "[]"])
def test_advanced_params_that_cannot_be_read_are_all_defaults_and_the_job_says_so(
    client: httpx.Client, given: str
) -> None:
    job = job_of(client, UPSCALE, {"uov_method": "Vary (Strong)", "advanced_params": given}, IMAGE)
    assert job["params"]["scheduler"] == "dpmpp_2m_sde"
    assert any(told.startswith("parameter_unused: advanced_params:") for told in warnings_of(client, job["id"]))


def test_an_empty_advanced_params_is_none(client: httpx.Client) -> None:
    job = job_of(client, UPSCALE, {"uov_method": "Vary (Strong)", "advanced_params": ""}, IMAGE)
    assert not any("advanced_params" in told for told in warnings_of(client, job["id"]))


@pytest.mark.parametrize(
    ("data", "files", "place"),
    [
        ({"uov_method": "Vary (Strong)"}, {"other": png()}, ["body", "input_image"]),
        ({"uov_method": "Vary (Strong)"}, {"input_image": ("x.png", b"")}, ["body", "input_image"]),
        ({}, IMAGE, ["body", "uov_method"]),
        ({"uov_method": "Vary (Odd)"}, IMAGE, ["body", "uov_method"]),
        ({"uov_method": "Upscale (Custom)", "upscale_value": 6}, IMAGE, ["body", "upscale_value"]),
        ({"uov_method": "Vary (Strong)", "image_number": 33}, IMAGE, ["body", "image_number"]),
        ({"uov_method": "Vary (Strong)", "loras": "{bad"}, IMAGE, ["body", "loras"]),
        ({"uov_method": "Vary (Strong)", "save_extension": "gif"}, IMAGE, ["body", "save_extension"]),
        ({"uov_method": "Vary (Strong)", "aspect_ratios_selection": "big"}, IMAGE, ["body", "aspect_ratios_selection"]),
    ],
)
def test_mistakes_in_forms_are_told_of_with_their_place_and_the_form(
    client: httpx.Client, data: dict[str, Any], files: Any, place: list[str]
) -> None:
    answer = client.post(UPSCALE, data=data, files=files)
    assert answer.status_code == 422
    body = answer.json()
    assert body["detail"][0]["loc"] == place
    assert body["body"] == {name: str(value) for name, value in data.items()}


def test_meta_data_is_saved_by_json_and_not_by_forms_unless_it_is_said(client: httpx.Client) -> None:
    form = job_of(client, UPSCALE, {"uov_method": "Vary (Strong)"}, IMAGE)
    said = job_of(client, UPSCALE, {"uov_method": "Vary (Strong)", "save_meta": "true"}, IMAGE)
    assert [job["params"]["metadata"] for job in (form, said)] == ["none", "fooocus"]


def test_image_prompts_are_files_by_number_with_their_fields(client: httpx.Client) -> None:
    files = {"cn_img1": png(), "cn_img3": png(32, 32)}
    data = {"cn_type1": "FaceSwap", "cn_type3": "CPDS", "cn_stop3": 0.2, "image_prompts": "[]"}
    job = job_of(client, PROMPT, data, files)
    assert job["task"] == "text_to_image"
    told = " ".join(warnings_of(client, job["id"]))
    assert "FaceSwap" in told, "the fake engine has no such model"
    assert "CPDS" in told


def test_a_form_of_version_1_may_be_url_encoded_where_it_needs_no_file(client: httpx.Client) -> None:
    assert job_of(client, PROMPT, {"prompt": "a cat"})["params"]["prompt"] == "a cat"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_old_spelling_of_inpainting_is_served(client: httpx.Client, version: str) -> None:
    path = f"/{version}/generation/image-inpait-outpaint"
    if version == "v1":
        answer = client.post(path, data={"outpaint_selections": "Left"}, files=IMAGE)
    else:
        answer = client.post(path, json={"input_image": b64(png()), "outpaint_selections": ["Left"]})
    (made,) = answer.json()
    assert made["finish_reason"] == "SUCCESS"
    assert opened(client.get(made["url"]).content).size == (64 + 19, 48)


def test_the_old_spelling_of_the_preview_is_served(client: httpx.Client) -> None:
    answer = client.post(PROMPT, data={"prompt": "a cat", "aspect_ratios_selection": SIZE})
    told = client.get(
        "/v1/generation/query-job", params={"job_id": answer.headers["X-Job-Id"], "require_step_preivew": "true"}
    ).json()
    assert told["job_step_preview"].startswith("iVBORw0KGgo")
