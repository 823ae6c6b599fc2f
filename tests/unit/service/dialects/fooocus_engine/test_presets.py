"""What a preset gives a request of FooocusAPI, field by field, and what the request keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from protocol.events import JobWarning
from protocol.models import ModelInfo, ModelKind
from protocol.presets import PresetInfo
from service.dialects.fooocus.choices import Performance
from service.dialects.fooocus.fields import Lora
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus_engine.presets import under_preset
from service.dialects.fooocus_engine.requests import EngineRequest
from service.presets.layer import Presets

DRAWER = ModelInfo(
    name="drawer", title="", tasks=(), licence="?", size_bytes=1, is_present=True, kind=ModelKind.CHECKPOINT
)
KNOWN = Known({(ModelKind.CHECKPOINT, "drawer"): DRAWER})


class Only(Presets):
    """Some presets, and no folders."""

    def __init__(self, *infos: PresetInfo) -> None:
        self._infos = infos

    async def infos(self) -> Sequence[PresetInfo]:
        return self._infos


def preset(params: dict[str, Any] | None = None, **about: Any) -> PresetInfo:
    return PresetInfo(**{"name": "Mine", "source": "files", "params": params or {}, **about})


def under(info: PresetInfo, **fields: Any) -> tuple[EngineRequest, list[JobWarning]]:
    request = EngineRequest.model_validate({"preset": "mine", **fields})
    return asyncio.run(under_preset(request, Only(preset(name="other"), info), KNOWN))


@pytest.mark.parametrize(
    ("ours", "theirs", "asked"),
    [
        ({"prompt": "a cat"}, {"prompt": "a cat"}, "a dog"),
        ({"negative_prompt": "dogs"}, {"negative_prompt": "dogs"}, "cats"),
        ({"styles": ["SAI Anime"]}, {"style_selections": ("SAI Anime",)}, ["Fooocus V2"]),
        ({"styles": []}, {"style_selections": ()}, ["Fooocus V2"]),
        ({"performance": "lightning"}, {"performance_selection": Performance.LIGHTNING}, "Quality"),
        ({"images": 3}, {"image_number": 3}, 4),
        ({"sharpness": 9.0}, {"sharpness": 9.0}, 8),
        ({"guidance_scale": 6.5}, {"guidance_scale": 6.5}, 5),
        ({"adaptive_guidance": 3.0}, {"adaptive_cfg": 3.0}, 4),
        ({"refiner": "painter"}, {"refiner_model_name": "painter"}, "other"),
        ({"refiner_start": 0.7}, {"refiner_switch": 0.7}, 0.6),
        ({"vae": "soft"}, {"vae_name": "soft"}, "hard"),
        (
            {"loras": [{"name": "ink", "weight": 0.25}]},
            {"loras": (Lora(model_name="ink", weight=0.25),)},
            [{"model_name": "chalk"}],
        ),
        ({"clip_skip": 1}, {"clip_skip": 3}, 4),
        ({"scheduler": "euler"}, {"sampler_name": "euler"}, "lcm"),
        ({"noise_schedule": "sgm_uniform"}, {"scheduler_name": "sgm_uniform"}, "simple"),
        ({"noise_schedule": "edm"}, {"scheduler_name": "edm_playground_v2.5"}, "simple"),
        ({"steps": 7}, {"overwrite_step": 7}, 8),
        ({"width": 64, "height": 96}, {"aspect_ratios_selection": "64*96"}, "704*1408"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_a_parameter_of_a_preset_is_a_field_that_was_left_at_its_default(
    ours: dict[str, Any], theirs: dict[str, Any], asked: Any
) -> None:
    ((field, value),) = theirs.items()
    usual = EngineRequest()
    made, notes = under(preset(ours))
    assert getattr(made, field) == value
    assert getattr(usual, field) != value, "or the test would show nothing"
    changed = {name for name in type(made).model_fields if getattr(made, name) != getattr(usual, name)}
    assert changed == {field, "preset"}
    assert notes == []
    kept, _ = under(preset(ours), **{field: asked})
    assert kept == EngineRequest.model_validate({"preset": "mine", field: asked})


def test_a_noise_schedule_that_fooocus_has_not_is_its_usual() -> None:
    made, _ = under(preset({"noise_schedule": "trailing"}))
    assert made.scheduler_name == EngineRequest().scheduler_name


def test_a_size_needs_both_its_sides() -> None:
    made, _ = under(preset({"width": 64}))
    assert made.aspect_ratios_selection == EngineRequest().aspect_ratios_selection


def test_the_first_model_of_a_preset_that_is_there_is_taken() -> None:
    made, notes = under(preset(models=("gone.safetensors", "drawer.safetensors")))
    assert (made.base_model_name, notes) == ("drawer.safetensors", [])


def test_a_preset_whose_models_are_not_here_is_used_without_and_that_is_said() -> None:
    made, notes = under(preset({"sharpness": 9.0}, models=("gone", "away")))
    assert (made.base_model_name, made.sharpness) == (EngineRequest().base_model_name, 9.0)
    (note,) = notes
    assert note.code == "preset_incomplete"
    assert note.message == "preset: 'Mine': its model 'gone' is not here; the server's default is used"


@pytest.mark.parametrize("model", ["gone", "drawer"])
def test_a_model_that_is_asked_for_stays_and_that_of_the_preset_is_not_missed(model: str) -> None:
    made, notes = under(preset(models=(model,)), base_model_name="chosen")
    assert (made.base_model_name, notes) == ("chosen", [])


@pytest.mark.parametrize("name", ["mine", "MINE", " Mine ", "mine.json"])
def test_a_preset_is_found_by_its_name_however_that_is_written(name: str) -> None:
    made, notes = under(preset({"sharpness": 9.0}), preset=name)
    assert (made.sharpness, notes) == (9.0, [])


@pytest.mark.parametrize("name", ["", "  ", "initial", "Initial.json"])
def test_no_preset_is_none_and_initial(name: str) -> None:
    made, notes = under(preset({"sharpness": 9.0}, name="initial"), preset=name)
    assert (made.sharpness, notes) == (EngineRequest().sharpness, [])


def test_a_preset_nobody_knows_is_as_if_none_was_named_and_that_is_said() -> None:
    made, notes = under(preset({"sharpness": 9.0}), preset="none such")
    assert made.sharpness == EngineRequest().sharpness
    assert [(note.code, note.message) for note in notes] == [
        ("unknown_name", "preset: there is no preset 'none such'; left out")
    ]


def test_a_preset_that_cannot_be_used_is_left_out_and_it_is_said_why() -> None:
    made, notes = under(preset({"sharpness": 9.0}, problem="it is broken"))
    assert made.sharpness == EngineRequest().sharpness
    assert [(note.code, note.message) for note in notes] == [
        ("preset_incomplete", "preset: 'Mine' cannot be used: it is broken")
    ]
