"""The quirks of the forms of version 1."""

import asyncio
import json
from typing import Any

import pytest

from service.dialects.fastapi_errors import InvalidRequest
from service.dialects.fooocus.choices import Side
from service.dialects.fooocus_api.forms import Filled, read_form
from service.dialects.fooocus_api.requests import InpaintForm, UpscaleVaryForm
from tests.unit.service.dialects.sent import form

IMAGE = {"input_image": b"pixels"}


def filled(files: Any = None, **data: Any) -> Filled[InpaintForm]:
    return asyncio.run(read_form(form(data, files or IMAGE), InpaintForm))


@pytest.mark.parametrize("sent", ["one,two", "one, two", " one ,two,", ",one,,two", ["one", "two"], ["one, two", ""]])
def test_names_are_repeated_or_joined_and_blanks_are_none(sent: Any) -> None:
    assert filled(style_selections=sent).fields.style_selections == ("one", "two")


def test_sides_are_repeated_or_joined_too() -> None:
    assert filled(outpaint_selections=["Left,Top", "Right"]).fields.outpaint_selections == (
        Side.LEFT,
        Side.TOP,
        Side.RIGHT,
    )


def test_of_a_field_that_is_no_list_the_last_counts() -> None:
    assert filled(prompt=["first", "last"]).fields.prompt == "last"


def test_a_text_with_commas_that_is_no_list_stays_whole() -> None:
    assert filled(prompt="a cat, a dog").fields.prompt == "a cat, a dog"


def test_structures_are_json_in_a_text() -> None:
    loras, advanced = json.dumps([{"model_name": "ink", "weight": 0.3}]), json.dumps({"overwrite_step": 9})
    made = filled(loras=loras, advanced_params=advanced)
    assert [(lora.model_name, lora.weight) for lora in made.fields.loras] == [("ink", 0.3)]
    assert made.fields.advanced_params is not None
    assert made.fields.advanced_params.overwrite_step == 9
    assert made.misread is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{bad", "advanced_params: all of it: Invalid JSON"),
        ("[]", "advanced_params: all of it: Input should be an object"),
        ('{"overwrite_step": 999}', "advanced_params: overwrite_step: Input should be less"),
    ],
)
def test_advanced_params_that_cannot_be_read_are_none_and_that_is_said(text: str, said: str) -> None:
    made = filled(advanced_params=text)
    assert made.fields.advanced_params is None
    assert str(made.misread).startswith(said)
    assert str(made.misread).endswith("; all defaults")


def test_loras_that_are_no_json_are_a_mistake_with_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        filled(loras="{bad" * 100, prompt="a cat")
    (detail,) = refused.value.errors
    assert (detail["type"], detail["loc"], detail["input"]) == ("json_invalid", ["body", "loras"], ("{bad" * 100)[:200])
    assert "error" in detail["ctx"]
    assert refused.value.body == {"loras": "{bad" * 100, "prompt": "a cat"}


def test_a_mistake_is_told_at_its_field_and_beside_the_form_as_it_was_sent() -> None:
    with pytest.raises(InvalidRequest) as refused:
        filled(image_number="99", style_selections=["one", "two"])
    assert refused.value.errors[0]["loc"] == ["body", "image_number"]
    assert refused.value.body == {"image_number": "99", "style_selections": ["one", "two"]}


def test_files_are_kept_apart_from_the_fields() -> None:
    made = filled({**IMAGE, "input_mask": b"mask"}, prompt="a cat")
    assert made.files == {"input_image": b"pixels", "input_mask": b"mask"}
    assert made.echo == {"prompt": "a cat"}


def test_what_is_missing_is_told_without_the_rest_of_the_form_for_its_input() -> None:
    with pytest.raises(InvalidRequest) as refused:
        asyncio.run(read_form(form({"prompt": "a cat"}, IMAGE), UpscaleVaryForm))
    (detail,) = refused.value.errors
    assert (detail["type"], detail["loc"], detail["input"]) == ("missing", ["body", "uov_method"], None)
