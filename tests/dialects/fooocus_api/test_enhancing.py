"""`image-enhance` in both versions, and the mask model that finds what words name."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from tests.dialects.fooocus_api.callers import asked
from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import b64, opened, png

V1, V2 = "/v1/generation/image-enhance", "/v2/generation/image-enhance"
MASK = "/v1/tools/generate_mask"
BOTH = pytest.mark.parametrize("version", ["v1", "v2"])


def enhance(client: httpx.Client, version: str, *regions: dict[str, Any], **fields: Any) -> httpx.Response:
    """Ask with regions that are enabled, by a form or in JSON."""
    fields = {**asked(), **fields}
    if version == "v2":
        enabled = [{"enhance_enabled": True, **each} for each in regions]
        return client.post(V2, json={**fields, "enhance_input_image": b64(png()), "enhance_ctrlnets": enabled})
    form = {name: str(value) for name, value in fields.items()}
    for number, region in enumerate(regions, start=1):
        form |= {f"{name}_{number}": str(value) for name, value in {"enhance_enabled": True, **region}.items()}
    return client.post(V1, data=form, files={"enhance_input_image": png()})


def job(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job of ours that it became."""
    assert answer.status_code == 200, answer.text
    return ended(client, answer.headers["X-Job-Id"])


def stages(made: dict[str, Any]) -> list[dict[str, Any]]:
    """What was done, as its last output tells it."""
    done: list[dict[str, Any]] = made["outputs"][-1]["data"]["enhanced"]
    return done


@BOTH
def test_a_picture_alone_is_varied_or_enlarged(client: httpx.Client, version: str) -> None:
    answer = enhance(client, version, enhance_uov_method="Upscale (2x)")
    assert answer.json()[0]["finish_reason"] == "SUCCESS"
    made = job(client, answer)
    assert (made["task"], made["params"]["upscale"]) == ("image_to_image", 2.0)


@BOTH
def test_parts_that_words_name_are_found_and_repainted(client: httpx.Client, version: str) -> None:
    answer = enhance(
        client,
        version,
        {"enhance_mask_dino_prompt": "face", "enhance_prompt": "a smile"},
        {"enhance_mask_model": "u2netp", "enhance_inpaint_strength": 0.5},
        enhance_uov_method="Disabled",
    )
    (result,) = answer.json()
    assert (result["finish_reason"], result["seed"]) == ("SUCCESS", "5")
    made = job(client, answer)
    assert made["task"] == "enhance"
    first, second = made["params"]["enhance"]["regions"]
    assert (first["text"], first["prompt"], first["model"]) == ("face", "a smile", "sam_vit_b")
    assert (second["subject"], second["strength"]) == ("u2netp", 0.5)
    assert [each["stage"] for each in stages(made)] == ["region", "region"]
    before = np.asarray(opened(png()).convert("RGB"))
    assert not np.array_equal(np.asarray(opened(client.get(result["url"]).content).convert("RGB")), before)


@BOTH
def test_all_of_the_picture_is_varied_before_unless_it_is_to_come_last(client: httpx.Client, version: str) -> None:
    def done(**fields: Any) -> list[str]:
        made = job(client, enhance(client, version, {"enhance_mask_dino_prompt": "face"}, **fields))
        return [each["stage"] for each in stages(made)]

    assert done() == ["rework", "region"], "Vary (Strong), unless it is said otherwise"
    assert done(enhance_uov_processing_order="After Last Enhancement") == ["region", "rework"]


def test_a_region_in_json_looks_for_faces_unless_it_says_otherwise(client: httpx.Client) -> None:
    made = job(client, enhance(client, "v2", {}))
    assert made["params"]["enhance"]["regions"][0]["text"] == "face"


def test_a_region_of_a_form_that_names_nothing_is_left_out_but_not_in_silence(client: httpx.Client) -> None:
    answer = enhance(client, "v1", {})
    assert [each["stage"] for each in stages(job(client, answer))] == ["rework"]
    assert any("enhance_mask_dino_prompt" in each for each in warnings_of(client, answer.headers["X-Job-Id"]))


@BOTH
def test_what_is_not_found_is_told_and_the_rest_goes_on(client: httpx.Client, version: str) -> None:
    answer = enhance(
        client,
        version,
        {"enhance_mask_dino_prompt": "nothing"},
        {"enhance_mask_dino_prompt": "hand"},
        enhance_uov_method="Disabled",
    )
    assert answer.json()[0]["finish_reason"] == "SUCCESS"
    assert [each["region"] for each in stages(job(client, answer))] == [1]
    assert any(each.startswith("nothing_found: ") for each in warnings_of(client, answer.headers["X-Job-Id"]))


def test_pictures_between_are_results_where_asked(client: httpx.Client) -> None:
    regions = [{"enhance_mask_dino_prompt": "face"}, {"enhance_mask_dino_prompt": "hand"}]
    assert len(enhance(client, "v2", *regions).json()) == 1
    made = enhance(client, "v2", *regions, save_final_enhanced_image_only=False).json()
    assert [each["finish_reason"] for each in made] == ["SUCCESS"] * 3
    assert len({each["url"] for each in made}) == 3


def test_a_picture_alone_as_the_answer_is_the_last_stage(client: httpx.Client) -> None:
    regions = [{"enhance_enabled": True}, {"enhance_enabled": True, "enhance_mask_dino_prompt": "hand"}]
    body = {**asked(), "enhance_input_image": b64(png()), "enhance_ctrlnets": regions, "save_meta": False}
    last = client.post(V2, json=body, headers={"Accept": "image/png"})
    between = {**body, "save_final_enhanced_image_only": False}
    assert client.post(V2, json=between, headers={"Accept": "image/png"}).content == last.content


@pytest.mark.parametrize(
    ("version", "place"), [("v1", ["body", "enhance_mask_box_threshold_2"]), ("v2", ["body", "enhance_ctrlnets", 1])]
)
def test_a_mistake_in_a_region_is_told_with_its_place(client: httpx.Client, version: str, place: list[Any]) -> None:
    answer = enhance(client, version, {}, {"enhance_mask_box_threshold": 2})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][: len(place)] == place


def test_a_mask_is_made_of_what_words_name(client: httpx.Client) -> None:
    def mask(**fields: Any) -> Any:
        answer = client.post(MASK, json={"image": b64(png()), "mask_model": "sam", **fields})
        assert answer.status_code == 200, answer.text
        return np.asarray(opened(base64.b64decode(answer.json()))).astype(int)

    face, both = mask(dino_prompt_text="face"), mask(dino_prompt_text="face, hand")
    assert face.any()
    assert (both >= face).all()
    assert both.sum() > face.sum()
    assert np.array_equal(mask(dino_prompt_text="face, hand", sam_max_detections=1), face)
    assert not mask(dino_prompt_text="face", box_threshold=0.95).any()


def test_a_mask_by_words_needs_words(client: httpx.Client) -> None:
    refused = client.post(MASK, json={"image": b64(png()), "mask_model": "sam"})
    assert (refused.status_code, "dino_prompt_text" in refused.json()["detail"]) == (400, True)


def test_clothes_may_be_told_apart(client: httpx.Client) -> None:
    def clothes(category: str) -> str:
        body = {"image": b64(png()), "mask_model": "u2net_cloth_seg", "cloth_category": category}
        assert client.post(MASK, json=body).status_code == 200
        newest = client.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]
        return str(newest["params"].get("clothes"))

    assert [clothes(each) for each in ("full", "upper", "lower")] == ["all", "upper", "lower"]
