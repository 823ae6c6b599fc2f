"""What each parameter of Fooocus becomes; that it then does what it should is for the tests of the engine."""

from dataclasses import replace
from typing import Any

import pytest

from protocol.models import ModelInfo, ModelKind
from protocol.prompting import MAX_STYLES
from protocol.requests import TASKS, TaskName
from protocol.validation import parse
from service.dialects.fooocus.choices import SWAP_METHODS, Extension, GuideKind, Side, UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish
from service.dialects.fooocus.fields import AdvancedFields, CommonFields
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.translation import Order, translate
from service.dialects.fooocus.wishes import Guide, Wish
from service.dialects.picture_size import Size

PICTURE = b"picture"
STYLES = ("Fooocus V2", "Fooocus Enhance", "Fooocus Sharp", "SAI Anime")


def model(name: str, kind: ModelKind, family: str = "sdxl", **about: Any) -> ModelInfo:
    return ModelInfo(
        name=name, title=name, tasks=(), licence="?", size_bytes=1, is_present=True, kind=kind, family=family, **about
    )


MODELS = (
    model("drawer", ModelKind.CHECKPOINT, is_default=True),
    model("painter", ModelKind.CHECKPOINT),
    model("old", ModelKind.CHECKPOINT, "sd1"),
    model("ink", ModelKind.LORA),
    model("sd_xl_offset_example-lora_1.0", ModelKind.LORA),
    model("chalk", ModelKind.LORA, "sd1"),
    model("soft", ModelKind.VAE),
    model("ip-adapter-plus-face", ModelKind.IP_ADAPTER),
    model("ip-adapter-plus", ModelKind.IP_ADAPTER),
    model("canny-xl", ModelKind.CONTROLNET),
    model("canny-old", ModelKind.CONTROLNET, "sd1"),
)
KNOWN = Known({(each.kind, each.name.casefold()): each for each in MODELS if each.kind is not None}, MODELS[0], STYLES)


def order(advanced: dict[str, Any] | None = None, *, known: Known = KNOWN, wish: Any = None, **common: Any) -> Order:
    made = translate(
        Wish(
            common=CommonFields.model_validate(common),
            advanced=AdvancedFields.model_validate(advanced or {}),
            **(wish or {}),
        ),
        known,
    )
    check(made)
    return made


def check(made: Order) -> None:
    """Our own API takes it."""
    params = {name: _named(value) for name, value in made.params.items()}
    parse(TASKS[made.task].params, params, at="$")


def _named(value: Any) -> Any:
    if isinstance(value, bytes):
        return "attached:0"
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def told(made: Order) -> list[str]:
    return [note.message for note in made.notes]


def test_what_is_left_out_is_as_in_fooocus() -> None:
    made = order()
    assert made.task is TaskName.TEXT_TO_IMAGE
    assert told(made) == []
    expected = {
        "prompt": "",
        "negative_prompt": "",
        "prompt_syntax": "fooocus",
        "styles": ["Fooocus V2", "Fooocus Enhance", "Fooocus Sharp"],
        "performance": "speed",
        "width": 1152,
        "height": 896,
        "images": 1,
        "seed": None,
        "vary_seed": True,
        "guidance_scale": 4.0,
        "sharpness": 2.0,
        "adaptive_guidance": 7.0,
        "size_conditioning": {"positive": 1.5, "negative": 0.8, "end": 0.3},
        "scheduler": "dpmpp_2m_sde",
        "noise_schedule": "karras",
        "clip_skip": 0,
        "preview_px": 288,
        "model": None,
        "loras": [{"name": "sd_xl_offset_example-lora_1.0", "weight": 0.1}],
        "format": "png",
        "quality": 95,
    }
    assert {name: made.params[name] for name in expected} == expected
    assert {"steps", "refiner", "vae", "freeu", "image_prompts", "controls"}.isdisjoint(made.params)


@pytest.mark.parametrize(
    ("field", "value", "ours"),
    [
        ("prompt", "a cat\nin the sun", {"prompt": "a cat\nin the sun"}),
        ("negative_prompt", "dogs", {"negative_prompt": "dogs"}),
        ("style_selections", ["SAI Anime"], {"styles": ["SAI Anime"]}),
        ("style_selections", ["SAI Anime", "Fooocus Sharp", "SAI Anime"], {"styles": ["SAI Anime", "Fooocus Sharp"]}),
        ("performance_selection", "Quality", {"performance": "quality"}),
        ("performance_selection", "Extreme Speed", {"performance": "extreme_speed"}),
        ("performance_selection", "Lightning", {"performance": "lightning"}),
        ("performance_selection", "Hyper-SD", {"performance": "hyper_sd"}),
        ("aspect_ratios_selection", "704*1408", {"width": 704, "height": 1408, "preview_px": 352}),
        ("image_number", 3, {"images": 3}),
        ("image_seed", 2**63 - 1, {"seed": 2**63 - 1}),
        ("image_seed", 2**63, {"seed": None}),
        ("image_seed", -5, {"seed": None}),
        ("sharpness", 0, {"sharpness": 0.0}),
        ("guidance_scale", 7, {"guidance_scale": 7.0}),
        ("base_model_name", "painter.safetensors", {"model": "painter"}),
        ("base_model_name", "sub\\PAINTER.ckpt", {"model": "painter"}),
        ("read_wildcards_in_order", True, {"wildcards_in_order": True}),
        ("loras", [{"model_name": "ink.safetensors", "weight": -0.5}], {"loras": [{"name": "ink", "weight": -0.5}]}),
        ("loras", [{"enabled": False, "model_name": "ink"}, {"model_name": "None"}], {"loras": []}),
    ],
)
def test_a_common_field_becomes_a_parameter(field: str, value: Any, ours: dict[str, Any]) -> None:
    made = order(**{field: value})
    assert {name: made.params[name] for name in ours} == ours
    assert told(made) == []


@pytest.mark.parametrize(
    ("field", "value", "ours"),
    [
        ("disable_seed_increment", True, {"vary_seed": False}),
        ("adm_scaler_positive", 2, {"size_conditioning": {"positive": 2.0, "negative": 0.8, "end": 0.3}}),
        ("adm_scaler_negative", 1, {"size_conditioning": {"positive": 1.5, "negative": 1.0, "end": 0.3}}),
        ("adm_scaler_end", 1, {"size_conditioning": {"positive": 1.5, "negative": 0.8, "end": 1.0}}),
        ("adaptive_cfg", 3, {"adaptive_guidance": 3.0}),
        ("clip_skip", 1, {"clip_skip": -1}),
        ("clip_skip", 4, {"clip_skip": 2}),
        ("sampler_name", "euler_ancestral", {"scheduler": "euler_ancestral"}),
        ("scheduler_name", "sgm_uniform", {"noise_schedule": "sgm_uniform"}),
        ("overwrite_step", 11, {"steps": 11}),
        ("overwrite_width", 640, {"width": 640, "height": 896}),
        ("overwrite_height", 512, {"width": 1152, "height": 512}),
        ("vae_name", "soft.safetensors", {"vae": "soft"}),
        ("black_out_nsfw", True, {"safety_check": True}),
        ("freeu_enabled", True, {"freeu": {"b1": 1.01, "b2": 1.02, "s1": 0.99, "s2": 0.95}}),
    ],
)
def test_an_advanced_field_becomes_a_parameter(field: str, value: Any, ours: dict[str, Any]) -> None:
    made = order({field: value})
    assert {name: made.params[name] for name in ours} == ours
    assert told(made) == []


def test_a_refiner_takes_over_where_it_is_asked_to_and_never_at_the_end() -> None:
    made = order(refiner_model_name="painter", refiner_switch=0.6)
    assert (made.params["refiner"], made.params["refiner_start"]) == ("painter", 0.6)
    assert (made.params["refiner_start_by"], made.params["refiner_swap"]) == ("steps", "joint")
    assert order({"overwrite_switch": 0.3}, refiner_model_name="painter").params["refiner_start"] == 0.3
    assert "refiner" not in order(refiner_model_name="painter", refiner_switch=1).params
    assert order(refiner_model_name="painter", refiner_switch=0.995).params["refiner_start"] == 0.99
    assert order({"overwrite_switch": 0.005}, refiner_model_name="painter").params["refiner_start"] == 0.01


@pytest.mark.parametrize(
    ("advanced", "common", "start"),
    [
        ({"overwrite_switch": 6}, {}, 0.2),
        ({"overwrite_switch": 6, "overwrite_step": 12}, {}, 0.5),
        ({"overwrite_switch": 15}, {"performance_selection": "Quality"}, 0.25),
        ({"overwrite_switch": 200}, {}, None),
        ({"overwrite_switch": 1}, {}, None),
    ],
)
def test_a_switch_above_1_is_a_step_as_documented(
    advanced: dict[str, Any], common: dict[str, Any], start: float | None
) -> None:
    assert order(advanced, refiner_model_name="painter", **common).params.get("refiner_start") == start


def test_a_refiner_may_be_null_as_documented() -> None:
    made = order(refiner_model_name=None)
    assert "refiner" not in made.params
    assert told(made) == []


@pytest.mark.parametrize("method", SWAP_METHODS)
def test_a_refiner_takes_over_in_the_way_that_is_asked_for(method: str) -> None:
    made = order({"refiner_swap_method": method}, refiner_model_name="painter")
    assert (made.params["refiner_swap"], told(made)) == (method, [])


def test_freeu_weighs_by_the_numbers_that_were_sent() -> None:
    sent = {"freeu_b1": 1.3, "freeu_b2": 1.4, "freeu_s1": 0.9, "freeu_s2": 0.2}
    freeu = order({"freeu_enabled": True, **sent}).params["freeu"]
    assert {f"freeu_{name}": value for name, value in freeu.items()} == sent
    assert "freeu" not in order(sent).params


def test_additions_are_looked_for_to_go_with_the_checkpoint_that_was_named() -> None:
    guide = Guide.with_defaults(PICTURE, GuideKind.PYRA_CANNY, 0, 0)
    chosen = {"base_model_name": "old", "loras": [{"model_name": "chalk"}, {"model_name": "ink"}]}
    made = order(wish={"guides": (guide,)}, **chosen)
    assert [lora["name"] for lora in made.params["loras"]] == ["chalk"]
    assert [control["model"] for control in made.params["controls"]] == ["canny-old"]
    assert told(made) == ["loras: 'ink' is not for 'old'; left out"]


@pytest.mark.parametrize(
    ("common", "advanced", "message"),
    [
        ({"base_model_name": "none such"}, {}, "base_model_name: there is no 'none such'"),
        ({"refiner_model_name": "none such"}, {}, "refiner_model_name: there is no checkpoint 'none such'"),
        ({"loras": [{"model_name": "none such"}]}, {}, "loras: there is no lora 'none such'"),
        ({"loras": [{"model_name": "chalk"}]}, {}, "loras: 'chalk' is not for 'drawer'"),
        ({"style_selections": ["none such"]}, {}, "style_selections: there is no style 'none such'"),
        ({}, {"vae_name": "none such"}, "vae_name: there is no vae 'none such'"),
        ({}, {"sampler_name": "none such"}, "sampler_name: there is no 'none such'"),
        (
            {"refiner_model_name": "painter"},
            {"refiner_swap_method": "quick"},
            "refiner_swap_method: there is no 'quick'",
        ),
        ({}, {"debugging_cn_preprocessor": True}, "debugging_cn_preprocessor:"),
        ({}, {"debugging_inpaint_preprocessor": True}, "debugging_inpaint_preprocessor:"),
        ({}, {"debugging_dino": True}, "debugging_dino:"),
        ({}, {"debugging_enhance_masks_checkbox": True}, "debugging_enhance_masks_checkbox:"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_rest_is_done(
    common: dict[str, Any], advanced: dict[str, Any], message: str
) -> None:
    made = order(advanced, **common)
    (only,) = told(made)
    assert only.startswith(message)


def test_no_more_loras_and_guides_are_taken_than_fooocus_takes_and_that_is_said() -> None:
    guide = Guide.with_defaults(PICTURE, GuideKind.IMAGE_PROMPT, 0, 0)
    made = order(loras=[{"model_name": "ink"}] * 7, wish={"guides": (guide,) * 6})
    assert (len(made.params["loras"]), len(made.params["image_prompts"])) == (5, 4)
    assert told(made) == ["loras: the first 5 of 7 were taken", "image_prompts: the first 4 of 6 were taken"]


def test_no_more_styles_are_taken_than_our_own_api_takes_and_that_is_said() -> None:
    names = tuple(f"style {number}" for number in range(MAX_STYLES + 1))
    made = order(known=replace(KNOWN, styles=names), style_selections=names)
    assert made.params["styles"] == list(names[:MAX_STYLES])
    assert told(made) == ["style_selections: 32 of 33 styles were taken"]


def test_the_models_nobody_chose_are_not_missed() -> None:
    made = order(known=Known({}))
    assert (made.params["model"], made.params["loras"]) == (None, [])
    assert [message for message in told(made) if "style" not in message] == []
    other = order(known=Known(KNOWN.by_stem, model("old", ModelKind.CHECKPOINT, "sd1"), STYLES))
    assert (other.params["loras"], told(other)) == ([], []), "the usual LoRA is not for that family"


# ---- pictures to change -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "advanced", "ours"),
    [
        (UovMethod.VARY_SUBTLE, {}, {"strength": 0.5, "size_rule": "model", "full_steps": True}),
        (UovMethod.VARY_STRONG, {}, {"strength": 0.85}),
        (UovMethod.VARY_STRONG, {"overwrite_vary_strength": 0.3}, {"strength": 0.3}),
        (UovMethod.UPSCALE_1_5, {}, {"upscale": 1.5, "strength": 0.382, "full_steps": True}),
        (
            UovMethod.UPSCALE_2,
            {"overwrite_upscale_strength": 0.2},
            {"upscale": 2.0, "strength": 0.2, "performance": "speed"},
        ),
        (UovMethod.UPSCALE_2, {"overwrite_step": 40}, {"steps": 40}),
    ],
)
def test_a_picture_is_varied_or_enlarged(method: UovMethod, advanced: dict[str, Any], ours: dict[str, Any]) -> None:
    made = order(advanced, wish={"picture": PICTURE, "method": method})
    assert (made.task, made.params["image"]) == (TaskName.IMAGE_TO_IMAGE, PICTURE)
    assert {name: made.params[name] for name in ours} == ours
    assert told(made) == []


@pytest.mark.parametrize(("factor", "taken"), [(None, 2.0), (5.0, 5.0), (1.0, 1.0), (3.5, 3.5)])
def test_a_picture_is_enlarged_by_any_factor_and_twofold_without_one(factor: float | None, taken: float) -> None:
    made = order(wish={"picture": PICTURE, "method": UovMethod.UPSCALE_CUSTOM, "factor": factor})
    assert made.params["upscale"] == taken


def test_a_picture_is_enlarged_fast_without_a_prompt_and_once() -> None:
    made = order(image_number=4, wish={"picture": PICTURE, "method": UovMethod.UPSCALE_FAST_2})
    assert (made.task, made.params["factor"]) == (TaskName.UPSCALE, 2.0)
    assert {"prompt", "safety_check", "metadata"}.isdisjoint(made.params)
    assert told(made) == []


@pytest.mark.parametrize("scheme", ["fooocus", "a1111"])
def test_a_picture_that_is_enlarged_fast_is_looked_at_and_signed_as_others_are(scheme: str) -> None:
    wish = {"picture": PICTURE, "method": UovMethod.UPSCALE_FAST_2, "saves_metadata": True, "metadata_scheme": scheme}
    made = order({"black_out_nsfw": True}, wish=wish)
    assert (made.params["safety_check"], made.params["metadata"]) == (True, scheme)
    assert told(made) == []


def test_what_is_masked_is_repainted_by_fooocus_rules() -> None:
    made = order(
        {
            "inpaint_strength": 0.7,
            "inpaint_respective_field": 0.618,
            "inpaint_erode_or_dilate": -8,
            "invert_mask_checkbox": True,
            "inpaint_disable_initial_latent": True,
        },
        prompt="a cat",
        wish={"picture": PICTURE, "mask": b"mask", "additional_prompt": "a hat"},
    )
    assert made.task is TaskName.INPAINT
    expected = {
        "image": PICTURE,
        "mask": b"mask",
        "prompt": "a hat\na cat",
        "strength": 0.7,
        "context": 0.618,
        "grow_px": -8,
        "grow_shape": "box",
        "invert_mask": True,
        "fit_mask": True,
        "fill": "original",
        "start": "noise",
        "soft_edge": "outside",
        "mask_blur_px": 32,
        "full_steps": True,
        "upscale_model": "auto",
    }
    assert {name: made.params[name] for name in expected} == expected


def test_what_is_seen_in_the_repainted_part_is_said_of_no_other_picture() -> None:
    varied = {"picture": PICTURE, "method": UovMethod.VARY_SUBTLE}
    for wish in ({}, varied):
        made = order(prompt="a cat", wish={**wish, "additional_prompt": "a hat"})
        assert made.params["prompt"] == "a cat"


def test_a_hole_that_is_forgotten_is_filled_from_around_it() -> None:
    params = order(wish={"picture": PICTURE, "mask": b"mask"}).params
    assert (params["fill"], params["start"]) == ("blur", "picture")


def test_sides_are_continued_by_pixels_or_three_tenths_with_the_whole_picture_in_sight() -> None:
    made = order(
        {"inpaint_strength": 0.5, "inpaint_respective_field": 0.2},
        wish={"picture": PICTURE, "size": Size(1000, 500), "sides": {Side.LEFT: 64, Side.RIGHT: 0, Side.TOP: -1}},
    )
    assert made.task is TaskName.INPAINT
    expected = {"left": 64, "right": 300, "top": 150, "strength": 1.0, "context": 1.0}
    assert {name: made.params[name] for name in expected} == expected
    assert "bottom" not in made.params
    assert "mask" not in made.params


@pytest.mark.parametrize("side", Side)
def test_a_side_is_continued_where_it_is(side: Side) -> None:
    made = order(wish={"picture": PICTURE, "size": Size(1000, 500), "sides": {side: 64}})
    continued = {name: made.params[name] for name in ("left", "top", "right", "bottom") if name in made.params}
    assert continued == {side.value.lower(): 64}


def test_a_picture_with_nothing_to_repaint_leaves_text_to_image_and_a_note() -> None:
    made = order(wish={"picture": PICTURE})
    assert (made.task, made.params["width"], made.params["height"]) == (TaskName.TEXT_TO_IMAGE, 1152, 896)
    assert told(made)[0].startswith("input_image: there is no mask and no side to continue")


@pytest.mark.parametrize(("engine", "patch"), [("v1", "v1"), ("v2.5", "v2.5"), ("v2.6", "v2.6"), ("None", None)])
def test_an_inpaint_engine_is_a_patch_or_none(engine: str, patch: str | None) -> None:
    made = order({"inpaint_engine": engine}, wish={"picture": PICTURE, "mask": b"mask"})
    assert (made.params.get("inpaint_patch"), told(made)) == (patch, [])


def test_an_unknown_inpaint_engine_is_the_usual_one_and_said() -> None:
    made = order({"inpaint_engine": "v9"}, wish={"picture": PICTURE, "mask": b"mask"})
    assert made.params["inpaint_patch"] == "v2.6"
    assert told(made) == ["inpaint_engine: there is no 'v9'; v2.6 was taken instead"]


# ---- pictures beside the prompt ---------------------------------------------------------------------------------


def test_guides_go_to_a_model_of_their_kind_and_of_the_checkpoints_family() -> None:
    guides = (
        Guide.with_defaults(b"1", GuideKind.IMAGE_PROMPT, 0, None),
        Guide.with_defaults(b"2", GuideKind.FACE_SWAP, 0.4, 1.5),
        Guide.with_defaults(b"3", GuideKind.PYRA_CANNY, None, 0),
    )
    made = order({"controlnet_softness": 0.5, "canny_low_threshold": 32}, wish={"guides": guides})
    assert [(each["model"], each["image"], each["weight"]) for each in made.params["image_prompts"]] == [
        ("ip-adapter-plus", b"1", 0.6),
        ("ip-adapter-plus-face", b"2", 1.5),
    ]
    assert [(each["end"], each["kind"], each["fit"]) for each in made.params["image_prompts"]] == [
        (0.5, "picture", "squash"),
        (0.4, "face", "squash"),
    ]
    ((control),) = made.params["controls"]
    assert (control["model"], control["image"], control["scale"], control["end"]) == ("canny-xl", b"3", 1.0, 0.5)
    assert (control["preprocess"], control["fit"]) == ("pyra_canny", "cover")
    assert (control["canny_low"], control["canny_high"]) == (32, 128)
    assert made.params["control_softness"] == 0.5


@pytest.mark.parametrize(
    ("kind", "name", "preprocess"),
    [
        (GuideKind.PYRA_CANNY, "canny-xl", "pyra_canny"),
        (GuideKind.CPDS, "depth-xl", "cpds"),
    ],
)
def test_a_control_picture_is_made_of_a_guide_unless_it_is_one_already(
    kind: GuideKind, name: str, preprocess: str
) -> None:
    guides = {"guides": (Guide.with_defaults(PICTURE, kind, 0, 0),)}
    known = Known({**KNOWN.by_stem, (ModelKind.CONTROLNET, "depth-xl"): model("depth-xl", ModelKind.CONTROLNET)})
    for advanced, expected in (({}, preprocess), ({"skipping_cn_preprocessor": True}, "none")):
        (control,) = order(advanced, known=known, wish=guides).params["controls"]
        assert (control["model"], control["preprocess"]) == (name, expected)


def test_a_face_is_cut_out_of_a_guide_unless_it_is_one_already() -> None:
    guides = {"guides": (Guide.with_defaults(PICTURE, GuideKind.FACE_SWAP, 0, 0),)}
    for skips, expected in ((False, "face"), (True, "picture")):
        made = order({"skipping_cn_preprocessor": skips}, wish=guides)
        assert [prompt["kind"] for prompt in made.params["image_prompts"]] == [expected]


def test_edges_of_a_guide_are_found_by_the_thresholds_that_were_sent() -> None:
    guides = {"guides": (Guide.with_defaults(PICTURE, GuideKind.PYRA_CANNY, 0, 0),)}
    made = order({"canny_low_threshold": 31, "canny_high_threshold": 97}, wish=guides)
    assert [(each["canny_low"], each["canny_high"]) for each in made.params["controls"]] == [(31, 97)]


def test_guides_without_a_model_are_left_out_and_said() -> None:
    made = order(wish={"guides": (Guide.with_defaults(b"1", GuideKind.CPDS, 0, 0),)})
    assert "controls" not in made.params
    assert told(made) == ["image_prompts: there is no controlnet for CPDS on this server; left out"]


@pytest.mark.parametrize(
    ("extension", "ours"),
    [(Extension.PNG, "png"), (Extension.JPG, "jpeg"), (Extension.JPEG, "jpeg"), (Extension.WEBP, "webp")],
)
def test_the_format_follows_the_extension(extension: Extension, ours: str) -> None:
    assert order(wish={"extension": extension}).params["format"] == ours


@pytest.mark.parametrize(("scheme", "ours"), [("fooocus", "fooocus"), ("a1111", "a1111"), ("a111", "a1111")])
def test_a_picture_says_what_it_was_made_with_where_that_is_wanted(scheme: str, ours: str) -> None:
    made = order(wish={"saves_metadata": True, "metadata_scheme": scheme})
    assert (made.params["metadata"], told(made)) == (ours, [])
    assert "metadata" not in order(wish={"metadata_scheme": scheme}).params


def test_a_form_of_metadata_that_is_not_known_is_fooocus_own_and_that_is_said() -> None:
    made = order(wish={"saves_metadata": True, "metadata_scheme": "none such"})
    assert made.params["metadata"] == "fooocus"
    assert told(made) == ["meta_scheme: there is no 'none such'; fooocus was taken instead"]


REGION = EnhanceRegion(enhance_enabled=True, enhance_mask_dino_prompt="face")


def enhancing(**about: Any) -> dict[str, Any]:
    return {"enhancing": EnhanceWish(regions=(REGION,), **about)}


def test_a_picture_with_parts_to_be_found_is_enhanced() -> None:
    given = {"picture": PICTURE, "enhances_picture": True, "method": UovMethod.VARY_SUBTLE}
    made = order(wish={**given, **enhancing(method=UovMethod.VARY_SUBTLE)}, prompt="a cat")
    assert (made.task, made.params["image"], made.params["prompt"]) == (TaskName.ENHANCE, PICTURE, "a cat")
    assert made.params["enhance"]["regions"][0]["text"] == "face"
    assert made.params["enhance"]["rework"]["strength"] == 0.5
    assert "strength" not in made.params


@pytest.mark.parametrize(
    ("wish", "task"),
    [
        ({}, TaskName.TEXT_TO_IMAGE),
        ({"picture": PICTURE, "method": UovMethod.VARY_SUBTLE}, TaskName.IMAGE_TO_IMAGE),
        ({"picture": PICTURE, "mask": PICTURE}, TaskName.INPAINT),
    ],
)
def test_pictures_that_are_made_are_enhanced_too(wish: dict[str, Any], task: TaskName) -> None:
    made = order(wish={**wish, **enhancing()})
    assert (made.task, made.params["enhance"]["regions"][0]["text"]) == (task, "face")
    assert "enhance" not in order(wish=wish).params


def test_a_picture_that_is_only_enlarged_is_not_enhanced_but_not_in_silence() -> None:
    made = order(wish={"picture": PICTURE, "method": UovMethod.UPSCALE_FAST_2, **enhancing()})
    assert made.task is TaskName.UPSCALE
    assert [note.message.partition(":")[0] for note in made.notes] == ["enhance"]
