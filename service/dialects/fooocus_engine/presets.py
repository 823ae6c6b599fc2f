"""Presets: what a request leaves at its default, its preset gives, in the request's own words.

So the parameters of a task that are told, and kept, are those that counted.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from protocol.events import JobWarning
from protocol.models import ModelKind
from protocol.presets import PresetInfo
from service.dialects.fooocus.choices import DEFAULT_SCHEDULE, OUR_PERFORMANCE, USUAL_CLIP_SKIP, Performance
from service.dialects.fooocus.fields import Lora
from service.dialects.fooocus.samplers import SCHEDULES
from service.dialects.fooocus.shelf import Known
from service.dialects.fooocus_engine.requests import NO_PRESET, EngineRequest
from service.presets.layer import Presets

_PERFORMANCES: Final[Mapping[str, Performance]] = {ours: theirs for theirs, ours in OUR_PERFORMANCE.items()}
_GONE: Final = "preset_incomplete"
_MODEL: Final = "base_model_name"


def _same(value: Any) -> Any:
    return value


def _schedule(value: str) -> str:
    return next((name for name, ours in SCHEDULES.items() if ours == value), DEFAULT_SCHEDULE)


def _loras(value: list[Mapping[str, Any]]) -> tuple[Lora, ...]:
    return tuple(Lora(model_name=lora["name"], weight=lora["weight"]) for lora in value)


_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "prompt": ("prompt", _same),
    "negative_prompt": ("negative_prompt", _same),
    "styles": ("style_selections", tuple),
    "performance": ("performance_selection", _PERFORMANCES.__getitem__),
    "images": ("image_number", _same),
    "sharpness": ("sharpness", _same),
    "guidance_scale": ("guidance_scale", _same),
    "adaptive_guidance": ("adaptive_cfg", _same),
    "refiner": ("refiner_model_name", _same),
    "refiner_start": ("refiner_switch", _same),
    "vae": ("vae_name", _same),
    "loras": ("loras", _loras),
    "clip_skip": ("clip_skip", lambda value: value + USUAL_CLIP_SKIP),
    "scheduler": ("sampler_name", _same),
    "noise_schedule": ("scheduler_name", _schedule),
    "steps": ("overwrite_step", _same),
}
"""Parameter of ours that a preset gives -> the field that says the same, and how it writes it."""


async def under_preset(fields: EngineRequest, presets: Presets, known: Known) -> tuple[EngineRequest, list[JobWarning]]:
    """A request with its preset under it, and what of the preset cannot be had.

    A preset that is not there, or cannot be used, is as if none was named, as in the original, but not in silence.
    """
    name = fields.preset.strip()
    if name.removesuffix(".json").casefold() in {"", NO_PRESET}:
        return fields, []
    infos = {info.name.casefold(): info for info in await presets.infos()}
    info = infos.get(name.removesuffix(".json").casefold())
    if info is None:
        return fields, [JobWarning(code="unknown_name", message=f"preset: there is no preset {name!r:.80}; left out")]
    if info.problem is not None:
        return fields, [JobWarning(code=_GONE, message=f"preset: {info.name!r} cannot be used: {info.problem}")]
    given, usual = _given(info), type(fields)()
    notes = []
    if info.models and fields.base_model_name == usual.base_model_name:
        there = next((model for model in info.models if known.find(ModelKind.CHECKPOINT, model) is not None), None)
        if there is not None:
            given[_MODEL] = there
        else:
            gone = f"its model {info.models[0]!r:.120} is not here; the server's default is used"
            notes.append(JobWarning(code=_GONE, message=f"preset: {info.name!r}: {gone}"))
    taken = {field: value for field, value in given.items() if getattr(fields, field) == getattr(usual, field)}
    return fields.model_copy(update=taken), notes


def _given(info: PresetInfo) -> dict[str, Any]:
    """The fields that a preset gives, but for its model."""
    given = {field: write(info.params[name]) for name, (field, write) in _FIELDS.items() if name in info.params}
    if {"width", "height"} <= info.params.keys():
        given["aspect_ratios_selection"] = f"{info.params['width']}*{info.params['height']}"
    return given
