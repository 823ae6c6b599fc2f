"""What each field of a region becomes; the tests of the engine show what that does."""

from typing import Any

import pytest

from protocol.enhancing import Enhancing
from protocol.validation import parse
from service.dialects.fooocus.choices import UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish, enhance_params
from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus.notes import Notes
from service.dialects.fooocus.regions import EnhanceRegion

FACE = {"enhance_enabled": True, "enhance_mask_dino_prompt": "face"}
PAINTED = {
    "prompt": "",
    "negative_prompt": "",
    "strength": 1.0,
    "context": 0.618,
    "grow_px": 0,
    "grow_shape": "box",
    "invert_mask": False,
    "fill": "blur",
    "start": "picture",
    "full_steps": True,
    "mask_blur_px": 32,
    "soft_edge": "outside",
    "upscale_model": "auto",
    "inpaint_patch": "v2.6",
}
FOUND = {
    "text": "face",
    "model": "sam_vit_b",
    "box_threshold": 0.3,
    "text_threshold": 0.25,
    "max_detections": 0,
    "grow_box_px": 0,
}


def enhanced(*regions: dict[str, Any], advanced: dict[str, Any] | None = None, **about: Any) -> Any:
    """The parameter, checked by our own API, and the fields that were told of."""
    notes = Notes()
    read = tuple(EnhanceRegion.model_validate(region) for region in regions)
    factor = about.pop("factor", None)
    wish = EnhanceWish(regions=read, **about)
    params = enhance_params(wish, AdvancedFields.model_validate(advanced or {}), factor, notes)
    if params is not None:
        parse(Enhancing, params, at="$")
    return params, [note.message.split(":")[0] for note in notes]


def test_a_region_is_found_by_words_and_repainted_as_fooocus_does_it() -> None:
    assert enhanced(FACE) == ({"regions": [{**FOUND, **PAINTED}], "keep_stages": False}, [])


@pytest.mark.parametrize(
    ("field", "value", "becomes"),
    [
        ("enhance_mask_dino_prompt", "face, hand.", {"text": "face, hand"}),
        ("enhance_prompt", "a smile", {"prompt": "a smile"}),
        ("enhance_negative_prompt", "teeth", {"negative_prompt": "teeth"}),
        ("enhance_mask_sam_model", "vit_h", {"model": "sam_vit_h"}),
        ("enhance_mask_text_threshold", 0.1, {"text_threshold": 0.1}),
        ("enhance_mask_box_threshold", 0.5, {"box_threshold": 0.5}),
        ("enhance_mask_sam_max_detections", 2, {"max_detections": 2}),
        ("enhance_inpaint_disable_initial_latent", True, {"start": "noise"}),
        ("enhance_inpaint_engine", "v1", {"inpaint_patch": "v1"}),
        ("enhance_inpaint_strength", 0.5, {"strength": 0.5, "fill": "original"}),
        ("enhance_inpaint_respective_field", 0.0, {"context": 0.0}),
        ("enhance_inpaint_erode_or_dilate", -3.0, {"grow_px": -3}),
        ("enhance_mask_invert", True, {"invert_mask": True}),
    ],
)
def test_each_field_of_a_region_counts(field: str, value: Any, becomes: dict[str, Any]) -> None:
    params, told = enhanced({**FACE, field: value})
    assert params["regions"] == [{**FOUND, **PAINTED, **becomes}]
    assert told == []


def test_boxes_are_widened_for_all_regions() -> None:
    params, _ = enhanced(FACE, advanced={"dino_erode_or_dilate": 7})
    assert params["regions"][0]["grow_box_px"] == 7


def test_an_engine_may_be_none() -> None:
    params, told = enhanced({**FACE, "enhance_inpaint_engine": "None"})
    assert "inpaint_patch" not in params["regions"][0]
    assert told == []


def test_other_models_of_masks_find_the_subject() -> None:
    clothes = {"enhance_mask_model": "u2net_cloth_seg", "enhance_mask_cloth_category": "upper"}
    params, told = enhanced({**FACE, "enhance_mask_model": "isnet-anime"}, {**FACE, **clothes})
    assert params["regions"] == [
        {"subject": "isnet-anime", **PAINTED},
        {"subject": "u2net_cloth_seg", "clothes": "upper", **PAINTED},
    ]
    assert told == []


def test_regions_that_are_not_enabled_or_name_nothing_are_left_out() -> None:
    assert enhanced({**FACE, "enhance_enabled": False}) == (None, [])
    assert enhanced({**FACE, "enhance_mask_dino_prompt": " . "}) == (None, ["enhance_mask_dino_prompt"])


def test_names_that_are_not_known_are_replaced_and_told() -> None:
    unknown = {"enhance_mask_sam_model": "vit_x", "enhance_inpaint_engine": "v9"}
    params, told = enhanced({**FACE, **unknown}, method=UovMethod.VARY_SUBTLE, order="Never", prompt_type="Other")
    assert params["regions"] == [{**FOUND, **PAINTED}]
    assert told == [
        "enhance_mask_sam_model",
        "enhance_inpaint_engine",
        "enhance_uov_processing_order",
        "enhance_uov_prompt_type",
    ]
    clothes = {"enhance_mask_model": "u2net_cloth_seg", "enhance_mask_cloth_category": "hats"}
    assert enhanced({**FACE, **clothes})[1] == ["enhance_mask_cloth_category"]


def test_more_regions_than_there_may_be_are_told() -> None:
    params, told = enhanced(*[FACE] * 12)
    assert (len(params["regions"]), told) == (10, ["enhance"])


VARIED = {"strength": 0.5, "size_rule": "model", "full_steps": True}


@pytest.mark.parametrize(
    ("method", "advanced", "becomes"),
    [
        (UovMethod.VARY_SUBTLE, {}, VARIED),
        (UovMethod.VARY_STRONG, {}, {**VARIED, "strength": 0.85}),
        (UovMethod.VARY_STRONG, {"overwrite_vary_strength": 0.3}, {**VARIED, "strength": 0.3}),
        (UovMethod.UPSCALE_1_5, {}, {"strength": 0.382, "upscale": 1.5, "full_steps": True}),
        (
            UovMethod.UPSCALE_2,
            {"overwrite_upscale_strength": 0.2},
            {"strength": 0.2, "upscale": 2.0, "full_steps": True},
        ),
        (UovMethod.UPSCALE_CUSTOM, {}, {"strength": 0.382, "upscale": 3.0, "full_steps": True}),
        (UovMethod.UPSCALE_FAST_2, {}, {"upscale": 2.0, "redraw": False}),
    ],
)
def test_all_of_a_picture_is_varied_or_enlarged_before_the_regions(
    method: UovMethod, advanced: dict[str, Any], becomes: dict[str, Any]
) -> None:
    params, told = enhanced(method=method, advanced=advanced, factor=3.0)
    assert params == {"rework": {"when": "before", **becomes}, "keep_stages": False}
    assert told == []


def test_it_may_come_after_them_and_follow_the_last_prompts() -> None:
    about = {"method": UovMethod.VARY_SUBTLE, "prompt_type": "Last Filled Enhancement Prompts"}
    after, _ = enhanced(FACE, order="After Last Enhancement", **about)
    assert after["rework"] == {"when": "after", **VARIED, "prompts": "last_region"}
    # Before there is none.
    before, _ = enhanced(FACE, **about)
    assert before["rework"] == {"when": "before", **VARIED}


def test_pictures_between_are_kept_where_asked() -> None:
    assert enhanced(FACE, keeps_stages=True)[0]["keep_stages"] is True
