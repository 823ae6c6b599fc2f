"""What a preset of Fooocus says, in parameters of ours.

Its files are JSON objects with names like `default_model`; a newer Fooocus may add names, and a user may leave any out.
What has no meaning here is named as unused. Files to download are never asked for.

Source of the names and of what they mean: the presets of Fooocus 2.5, as observed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from protocol.performance import Performance
from protocol.recipes.words import OUR_SCHEDULES
from protocol.refining import RefinerStart
from protocol.requests import TASKS, TaskName
from protocol.sampling import NoiseSchedule, SchedulerName
from protocol.validation import explain

NONE: Final = frozenset({"", "none", "default (model)"})
"""Names that stand for no model, in lower case."""
_SIZE: Final = re.compile(r"^\s*(\d{2,5})\s*[*x×]\s*(\d{2,5})\b")
_LAYERS_LEFT_OUT: Final = 2
"""Fooocus' clip skip of a model that is used as it was trained."""
_PASSED_BY: Final = frozenset(
    {"previous_default_models", "checkpoint_downloads", "lora_downloads", "embeddings_downloads", "vae_downloads"}
)
_SCHEDULES: Final[Mapping[str, NoiseSchedule]] = {
    **{schedule.value: schedule for schedule in NoiseSchedule},
    **OUR_SCHEDULES,
}
_ALL: Final = TASKS[TaskName.TEXT_TO_IMAGE].params
"""The task that has every parameter a preset may give."""

Values = Mapping[str, Any]


class _Unusable(Exception):
    """A value means nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetContents:
    """What a preset says.

    Attributes:
        params: parameters and their values, as JSON would have them; never `model`.
        models: names of checkpoints, the first that is there to be taken.
        unused: names of its entries that mean nothing here.
        problem: why it cannot be used; None if nothing speaks against it.
    """

    params: Values
    models: Sequence[str] = ()
    unused: Sequence[str] = ()
    problem: str | None = None


def contents_of(preset: Mapping[str, object]) -> PresetContents:
    """Read a preset. Never raises: what is wrong with it is its `problem`, or among the `unused`."""
    params: dict[str, Any] = {}
    unused: list[str] = []
    for name, value in preset.items():
        if name in _PASSED_BY or name == "default_model":
            continue
        reader = _READERS.get(name)
        try:
            if reader is None:
                raise _Unusable
            read = reader(value, preset)
        except _Unusable:
            unused.append(name)
            continue
        if read.keys() <= _ALL.model_fields.keys():
            params |= read
        else:
            unused.append(name)
    return PresetContents(
        params=params, models=tuple(_checkpoints(preset)), unused=tuple(unused), problem=_problem(params)
    )


def _problem(params: Values) -> str | None:
    """What a request with these parameters would be refused for."""
    try:
        _ALL.model_validate({"prompt": "", **params})
    except ValidationError as error:
        return explain(error, at="preset", kind=_ALL).message
    return None


def _checkpoints(preset: Mapping[str, object]) -> Iterator[str]:
    earlier = preset.get("previous_default_models")
    named = [preset.get("default_model"), *(earlier if isinstance(earlier, list) else ())]
    seen: set[str] = set()
    for name in named:
        if isinstance(name, str) and name.strip().casefold() not in NONE and name not in seen:
            seen.add(name)
            yield name


Reader = Callable[[object, Mapping[str, object]], dict[str, Any]]


def _number(target: str, *, whole: bool = False, above: float | None = None) -> Reader:
    """A number as it is.

    Args:
        above: a smaller one, or this, stands for none.
    """

    def read(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
        number = _as_number(value)
        if above is not None and number <= above:
            return {}
        return {target: int(number) if whole else number}

    return read


def _text(target: str) -> Reader:
    def read(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
        if not isinstance(value, str):
            raise _Unusable
        return {target: value} if value.strip() else {}

    return read


def _model(target: str) -> Reader:
    def read(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
        if not isinstance(value, str):
            raise _Unusable
        return {} if value.strip().casefold() in NONE else {target: value}

    return read


def _read_switch(value: object, preset: Mapping[str, object]) -> dict[str, Any]:
    refiner = preset.get("default_refiner")
    share = _as_number(value)
    if share > 1:
        raise _Unusable  # the number of a step, which means nothing without that of all
    if not isinstance(refiner, str) or refiner.strip().casefold() in NONE or not 0 < share < 1:
        return {}  # without a refiner, or with one that never begins, it is without effect there
    return {"refiner_start": share, "refiner_start_by": RefinerStart.STEPS.value}


def _read_loras(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    if not isinstance(value, list):
        raise _Unusable
    loras = []
    for entry in value:
        if not isinstance(entry, list) or not 2 <= len(entry) <= 3:
            raise _Unusable
        # Presets from before LoRAs could be switched off have a name and a weight alone.
        enabled, name, weight = entry if len(entry) == 3 else (True, *entry)
        if enabled and isinstance(name, str) and name.strip().casefold() not in NONE:
            loras.append({"name": name, "weight": _as_number(weight)})
    return {"loras": loras} if loras else {}


def _read_clip_skip(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    return {"clip_skip": int(_as_number(value)) - _LAYERS_LEFT_OUT}


def _read_sampler(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    try:
        return {"scheduler": SchedulerName(str(value).removesuffix("_gpu")).value}
    except ValueError:
        raise _Unusable from None


def _read_schedule(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    if not isinstance(value, str) or value not in _SCHEDULES:
        raise _Unusable
    return {"noise_schedule": _SCHEDULES[value].value}


def _read_performance(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    try:
        return {"performance": Performance(re.sub("[ -]", "_", str(value).casefold())).value}
    except ValueError:
        raise _Unusable from None


def _read_styles(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _Unusable
    return {"styles": value}


def _read_size(value: object, _preset: Mapping[str, object]) -> dict[str, Any]:
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise _Unusable
    return {"width": int(match[1]), "height": int(match[2])}


def _as_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unusable
    return float(value)


_READERS: Final[Mapping[str, Reader]] = {
    "default_refiner": _model("refiner"),
    "default_refiner_switch": _read_switch,
    "default_vae": _model("vae"),
    "default_loras": _read_loras,
    "default_cfg_scale": _number("guidance_scale"),
    "default_sample_sharpness": _number("sharpness"),
    "default_cfg_tsnr": _number("adaptive_guidance", above=0),
    "default_clip_skip": _read_clip_skip,
    "default_sampler": _read_sampler,
    "default_scheduler": _read_schedule,
    "default_performance": _read_performance,
    "default_overwrite_step": _number("steps", whole=True, above=0),
    "default_overwrite_switch": _read_switch,
    "default_prompt": _text("prompt"),
    "default_prompt_negative": _text("negative_prompt"),
    "default_styles": _read_styles,
    "default_aspect_ratio": _read_size,
    "default_image_number": _number("images", whole=True),
}
"""Name of an entry -> the parameters it gives. Later ones count before earlier ones of the file's order."""
