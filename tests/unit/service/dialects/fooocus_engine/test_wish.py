"""Which pictures of a flat request count, and what its fields become, as far as they differ from Fooocus-API's."""

import asyncio
import io
from typing import Any

import pytest
from PIL import Image

from protocol.models import ModelInfo, ModelKind
from service.dialects.fooocus.choices import GuideKind, Side, UovMethod
from service.dialects.fooocus.enhancing import EnhanceWish
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus.translation import translate
from service.dialects.fooocus_engine.requests import EngineRequest
from service.dialects.fooocus_engine.wish import Meant, Pictures, Tab, meaning


def _picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


UOV, INPAINT, MASK, ENHANCE = _picture(8, 8), _picture(40, 20), _picture(40, 20), _picture(9, 9)
GUIDE = _picture(7, 7)
VARY = "Vary (Subtle)"


def meant(pictures: Pictures | None = None, **fields: Any) -> Meant:
    return asyncio.run(meaning(EngineRequest.model_validate(fields), pictures or Pictures()))


def codes(made: Meant) -> list[str]:
    return [note.code for note in made.notes]


def guides(*asked: dict[str, Any]) -> dict[str, Any]:
    return {"controlnet_image": [{"cn_img": "x", **each} for each in asked]}


@pytest.mark.parametrize(
    ("pictures", "fields", "tab", "picture", "method"),
    [
        (Pictures(), {}, Tab.VARY_UPSCALE, None, UovMethod.DISABLED),
        (Pictures(uov=UOV), {"uov_method": VARY}, Tab.VARY_UPSCALE, UOV, UovMethod.VARY_SUBTLE),
        (Pictures(uov=UOV), {}, Tab.VARY_UPSCALE, None, UovMethod.DISABLED),
        (Pictures(inpaint=INPAINT, mask=MASK), {}, Tab.INPAINT, INPAINT, UovMethod.DISABLED),
        (Pictures(uov=UOV, inpaint=INPAINT), {"uov_method": VARY}, Tab.VARY_UPSCALE, UOV, UovMethod.VARY_SUBTLE),
        (Pictures(uov=UOV, inpaint=INPAINT), {}, Tab.INPAINT, INPAINT, UovMethod.DISABLED),
        (
            Pictures(enhance=ENHANCE),
            {"enhance_checkbox": True, "enhance_uov_method": VARY},
            Tab.ENHANCE,
            ENHANCE,
            UovMethod.VARY_SUBTLE,
        ),
        (Pictures(enhance=ENHANCE), {"enhance_uov_method": VARY}, Tab.VARY_UPSCALE, None, UovMethod.DISABLED),
    ],
)
def test_one_picture_counts_by_the_order_of_the_tabs(
    pictures: Pictures, fields: dict[str, Any], tab: Tab, picture: bytes | None, method: UovMethod
) -> None:
    made = meant(pictures, **fields)
    assert (made.tab, made.wish.picture, made.wish.method) == (tab, picture, method)
    given = [each for each in (pictures.uov, pictures.inpaint, pictures.enhance) if each is not None]
    assert ("picture_unused" in codes(made)) is (len(given) > (picture is not None))


@pytest.mark.parametrize(
    ("flags", "picture", "tab"),
    [
        ({}, None, Tab.IMAGE_PROMPT),
        ({"mixing_image_prompt_and_vary_upscale": True}, UOV, Tab.IMAGE_PROMPT),
        ({"mixing_image_prompt_and_inpaint": True}, INPAINT, Tab.IMAGE_PROMPT),
    ],
)
def test_pictures_beside_the_prompt_mix_with_others_only_where_that_is_said(
    flags: dict[str, bool], picture: bytes | None, tab: Tab
) -> None:
    pictures = Pictures(uov=UOV, inpaint=INPAINT, mask=MASK, guides={0: GUIDE})
    made = meant(pictures, uov_method=VARY, **guides({}), **flags)
    assert (made.tab, made.wish.picture) == (tab, picture)
    assert len(made.wish.guides) == 1
    assert (made.wish.mask is not None) is (picture is INPAINT)
    assert "picture_unused" in codes(made)


def test_stop_and_weight_are_literal_and_0_is_without_effect() -> None:
    asked = guides({}, {"cn_stop": 0.25, "cn_weight": 1.5}, {"cn_stop": 0}, {"cn_weight": 0}, {"cn_stop": None})
    made = meant(Pictures(guides=dict.fromkeys(range(5), GUIDE)), **asked)
    assert [(guide.stop, guide.weight) for guide in made.wish.guides] == [(0.6, 0.6), (0.25, 1.5), (0.6, 0.6)]


@pytest.mark.parametrize("kind", GuideKind)
def test_a_picture_beside_the_prompt_is_of_the_kind_that_is_asked_for(kind: GuideKind) -> None:
    made = meant(Pictures(guides={0: GUIDE}), **guides({"cn_type": kind.value}))
    assert [guide.kind for guide in made.wish.guides] == [kind]


def test_files_are_in_the_format_and_with_the_metadata_that_are_asked_for() -> None:
    made = meant(output_format="webp", metadata_scheme="a1111")
    params = translate(made.wish, Known({})).params
    assert (params["format"], params["metadata"]) == ("webp", "a1111")


def test_distances_are_left_top_right_bottom_of_the_sides_that_are_chosen() -> None:
    made = meant(
        Pictures(inpaint=INPAINT), outpaint_selections=["Bottom", "Left", "Top"], outpaint_distance=[1, 2, 3, 4]
    )
    assert made.wish.sides == {Side.BOTTOM: 4, Side.LEFT: 1, Side.TOP: 2}
    order = translate(made.wish, Known({}))
    assert [order.params.get(side) for side in ("left", "top", "right", "bottom")] == [1, 2, None, 4]


def test_a_side_without_a_distance_is_continued_by_30_percent() -> None:
    made = meant(Pictures(inpaint=INPAINT), outpaint_selections=["Right", "Bottom"], outpaint_distance=[9])
    order = translate(made.wish, Known({}))
    assert (order.params["right"], order.params["bottom"]) == (12, 6)


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({}, 0.5),
        ({"overwrite_switch": 15}, 0.5),
        ({"overwrite_switch": 15, "overwrite_step": 60}, 0.25),
        ({"overwrite_switch": 45, "performance_selection": "Quality"}, 0.75),
        ({"overwrite_switch": 30}, None),
        ({"overwrite_switch": 1}, 1 / 30),
        ({"overwrite_switch": 0.25}, 0.25),
        ({"overwrite_switch": -1, "refiner_switch": 0.8}, 0.8),
    ],
)
def test_overwrite_switch_is_the_number_of_a_step_or_below_1_a_share(
    fields: dict[str, Any], start: float | None
) -> None:
    refiner = ModelInfo(
        name="r", title="r", tasks=(), licence="?", size_bytes=1, is_present=True, kind=ModelKind.CHECKPOINT
    )
    made = meant(refiner_model_name="r.safetensors", **fields)
    order = translate(made.wish, Known({(ModelKind.CHECKPOINT, "r"): refiner}))
    assert order.params.get("refiner_start") == start


def test_what_the_server_of_the_original_overwrites_does_not_count() -> None:
    made = meant(
        Pictures(inpaint=INPAINT, mask=MASK),
        invert_mask_checkbox=True,
        input_image_checkbox=False,
        current_tab="enhance",
    )
    assert made.tab is Tab.INPAINT
    assert translate(made.wish, Known({})).params["invert_mask"] is False


def test_defaults_that_are_not_those_of_fooocus_api() -> None:
    made = meant(Pictures(inpaint=INPAINT, mask=MASK), inpaint_additional_prompt="a hat", prompt="a cat")
    params = translate(made.wish, Known({})).params
    assert (params["context"], params["metadata"], params["format"]) == (0.618, "fooocus", "png")
    assert params["prompt"] == "a hat\na cat"


def test_the_least_scalers_are_taken_for_0_with_a_note() -> None:
    made = meant(adm_scaler_positive=0, adm_scaler_negative=0.05)
    sizes = translate(made.wish, Known({})).params["size_conditioning"]
    assert (sizes["positive"], sizes["negative"]) == (0.1, 0.1)
    assert codes(made) == ["parameter_unused", "parameter_unused"]


def test_the_custom_factor_is_the_one_that_is_asked_for() -> None:
    made = meant(Pictures(uov=UOV), uov_method="Upscale (Custom)", upscale_multiple=3.5)
    assert translate(made.wish, Known({})).params["upscale"] == 3.5


REGIONS = [{"enhance_enabled": True, "enhance_mask_dino_prompt": "face"}]


def test_pictures_are_enhanced_only_where_that_is_on() -> None:
    assert meant(enhance_ctrls=REGIONS).wish.enhancing is None
    wish = meant(enhance_ctrls=REGIONS, enhance_checkbox=True).wish
    assert wish.enhancing is not None
    assert wish.enhancing.has_regions
    assert not wish.enhances_picture


def test_a_picture_to_enhance_counts_where_no_other_does() -> None:
    fields = {"enhance_ctrls": REGIONS, "enhance_checkbox": True, "enhance_uov_method": VARY}
    alone = meant(Pictures(enhance=ENHANCE), **fields).wish
    assert (alone.picture, alone.enhances_picture) == (ENHANCE, True)
    beside = meant(Pictures(enhance=ENHANCE, inpaint=INPAINT, mask=MASK), **fields).wish
    assert (beside.picture, beside.enhances_picture) == (INPAINT, False)
    assert beside.enhancing == alone.enhancing


def test_what_enhancing_says_of_all_of_a_picture_counts() -> None:
    fields = {
        "enhance_uov_method": VARY,
        "enhance_uov_processing_order": "After Last Enhancement",
        "enhance_uov_prompt_type": "Last Filled Enhancement Prompts",
        "save_final_enhanced_image_only": True,
    }
    wish = meant(enhance_checkbox=True, enhance_ctrls=REGIONS, **fields).wish
    assert wish.enhancing == EnhanceWish(
        regions=(EnhanceRegion.model_validate(REGIONS[0]),),
        method=UovMethod.VARY_SUBTLE,
        order="After Last Enhancement",
        prompt_type="Last Filled Enhancement Prompts",
        keeps_stages=False,
    )
    usual = meant(enhance_checkbox=True, enhance_ctrls=REGIONS).wish
    assert usual.enhancing is not None
    assert usual.enhancing.keeps_stages


def test_what_has_no_effect_is_told() -> None:
    made = meant(generate_image_grid=True)
    assert [note.message.split(":")[0] for note in made.notes] == ["generate_image_grid"]
