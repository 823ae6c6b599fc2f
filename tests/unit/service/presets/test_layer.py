"""What a request gets of its preset."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ErrorCode, ProtocolError
from protocol.named_models import NamedModel
from protocol.requests import parse_job_request
from service.presets.book import PresetBook
from service.presets.layer import Laid, Presets

pytestmark = pytest.mark.anyio

PRESET: Mapping[str, Any] = {
    "default_model": "drawn.safetensors",
    "previous_default_models": ["sketched.safetensors"],
    "default_refiner": "finer",
    "default_refiner_switch": 0.6,
    "default_vae": "clear",
    "default_loras": [[True, "ink", 0.3], [True, "chalk", 0.4]],
    "default_cfg_scale": 6.5,
    "default_sampler": "euler",
    "default_scheduler": "karras",
    "default_performance": "Quality",
    "default_overwrite_step": 12,
    "default_prompt": "a house",
    "default_aspect_ratio": "896*1152",
}
EVERYTHING = {"drawn.safetensors", "finer", "clear", "ink", "chalk"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Stock:
    """Models by name."""

    def __init__(self, there: set[str]) -> None:
        self.there = there

    async def missing(self, named: Sequence[NamedModel]) -> Sequence[NamedModel]:
        return [each for each in named if each.name not in self.there]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.json").write_text(json.dumps(PRESET), "utf-8")
    (tmp_path / "broken.json").write_text(json.dumps({"default_cfg_scale": 5000}), "utf-8")
    (tmp_path / "quick.json").write_text(json.dumps({**PRESET, "default_performance": "Lightning"}), "utf-8")
    return tmp_path


@pytest.fixture
def presets(folder: Path) -> Presets:
    return Presets(PresetBook((folder,)), Stock(EVERYTHING))


async def laid(presets: Presets, task: str = "text_to_image", **params: Any) -> dict[str, Any]:
    """The parameters of a request with its preset under it; they can be read."""
    body: Any = (await presets.lay_under({"task": task, "params": {"preset": "mine", **params}})).body
    parse_job_request(body)
    got: dict[str, Any] = body["params"]
    return got


async def test_a_request_that_leaves_all_out_gets_all(presets: Presets) -> None:
    assert await laid(presets) == {
        "preset": "mine",
        "prompt": "a house",
        "model": "drawn.safetensors",
        "refiner": "finer",
        "refiner_start": 0.6,
        "refiner_start_by": "steps",
        "vae": "clear",
        "loras": [{"name": "ink", "weight": 0.3}, {"name": "chalk", "weight": 0.4}],
        "guidance_scale": 6.5,
        "scheduler": "euler",
        "noise_schedule": "karras",
        "performance": "quality",
        "steps": 12,
        "width": 896,
        "height": 1152,
    }


@pytest.mark.parametrize(
    ("given", "not_of_the_preset"),
    [
        ({"prompt": "a cat"}, set()),
        ({"guidance_scale": 2.0}, set()),
        ({"loras": []}, set()),
        ({"model": "mine"}, set()),
        ({"model": None}, set()),
        ({"vae": None}, set()),
        ({"steps": 3}, set()),
        ({"width": 512}, {"height"}),
        ({"scheduler": "ddim"}, {"noise_schedule"}),
        ({"refiner": None}, {"refiner_start", "refiner_start_by"}),
        ({"performance": "speed"}, {"steps"}),
    ],
)
async def test_what_a_request_gives_counts_and_what_goes_with_it(
    presets: Presets, given: dict[str, Any], not_of_the_preset: set[str]
) -> None:
    whole, made = await laid(presets), await laid(presets, **given)
    assert made == {**{name: value for name, value in whole.items() if name not in not_of_the_preset}, **given}


async def test_guidance_and_loras_are_taken_from_the_preset_also_beside_values_of_the_request(presets: Presets) -> None:
    made = await laid(presets, steps=4, negative_prompt="fog")
    assert made["guidance_scale"] == 6.5
    assert [lora["name"] for lora in made["loras"]] == ["ink", "chalk"]


async def test_a_picture_that_is_started_from_keeps_its_size(presets: Presets) -> None:
    made = await laid(presets, "image_to_image", image="upload:x")
    assert not {"width", "height"} & set(made)
    assert made["guidance_scale"] == 6.5


@pytest.mark.parametrize("how", [{"performance": "hyper_sd"}, {"preset": "quick"}])
async def test_settings_that_a_fast_mode_does_not_go_by_are_not_given(presets: Presets, how: dict[str, Any]) -> None:
    made = await laid(presets, **how)
    refining = {"refiner", "refiner_start", "refiner_start_by"}
    assert not {"scheduler", "noise_schedule", "guidance_scale", *refining} & set(made)
    assert {"model", "loras", "vae"} <= set(made)


async def said(presets: Presets) -> tuple[dict[str, Any], list[str]]:
    found: Laid = await presets.lay_under({"task": "text_to_image", "params": {"preset": "mine"}})
    body: Any = found.body
    assert {note.code for note in found.notes} <= {"preset_incomplete"}
    return body["params"], [note.message for note in found.notes]


async def test_nothing_is_said_of_a_preset_that_is_all_there(presets: Presets) -> None:
    assert (await said(presets))[1] == []


async def test_an_earlier_model_of_the_preset_is_taken_where_the_first_is_not_there(folder: Path) -> None:
    stock = Stock((EVERYTHING | {"sketched.safetensors"}) - {"drawn.safetensors"})
    params, notes = await said(Presets(PresetBook((folder,)), stock))
    assert params["model"] == "sketched.safetensors"
    assert notes == []


async def test_what_is_not_there_is_left_out_and_said(folder: Path) -> None:
    params, notes = await said(Presets(PresetBook((folder,)), Stock({"chalk"})))
    assert not {"model", "vae", "refiner", "refiner_start", "refiner_start_by"} & set(params)
    assert params["loras"] == [{"name": "chalk", "weight": 0.4}]
    assert notes == [
        "preset: 'mine': its model 'drawn.safetensors' is not here: the server's default is used",
        "preset: 'mine': its vae 'clear' is not here: there is none",
        "preset: 'mine': its refiner 'finer' is not here: there is none",
        "preset: 'mine': its lora 'ink' is not here: it is left out",
    ]


async def test_models_that_the_request_gives_itself_are_not_looked_for(folder: Path) -> None:
    presets = Presets(PresetBook((folder,)), Stock(set()))
    given = {"preset": "mine", "model": "x", "vae": "y", "refiner": "z", "loras": []}
    assert (await presets.lay_under({"task": "text_to_image", "params": given})).notes == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mime", "preset: there is no preset 'mime'; close to it: 'mine', 'anime', at $.job.params.preset"),
        ("broken", "preset: 'broken' cannot be used: guidance_scale: expected"),
    ],
)
async def test_one_that_is_not_there_or_is_wrong_is_refused(presets: Presets, name: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        await presets.lay_under({"task": "text_to_image", "params": {"preset": name}}, at="$.job")
    assert caught.value.code is ErrorCode.INVALID_PARAMS
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"task": "text_to_image"},
        {"task": ["text_to_image"], "params": {"preset": "mine"}},
        {"task": "nothing", "params": {"preset": "mine"}},
        {"task": "erase", "params": {"preset": "mine"}},
        {"task": "text_to_image", "params": "preset"},
        {"task": "text_to_image", "params": {"preset": 5}},
        {"task": "text_to_image", "params": {"preset": None, "prompt": "a cat"}},
        {"task": "text_to_image", "params": {"prompt": "a cat"}},
    ],
)
async def test_what_names_no_preset_or_cannot_be_right_stays_as_it_is(presets: Presets, body: object) -> None:
    assert await presets.lay_under(body) == Laid(body)


async def test_a_request_is_not_changed_itself(presets: Presets) -> None:
    params = {"preset": "mine"}
    body = {"task": "text_to_image", "params": params}
    await presets.lay_under(body)
    assert body == {"task": "text_to_image", "params": {"preset": "mine"}}
