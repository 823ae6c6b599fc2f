"""Lays a preset under a request, before it is read: what the request leaves out, the preset gives.

So the job that is accepted, stored and shown says all that will count. What cannot be had of a preset is told with the
job (`preset_incomplete`), and the request goes on without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import anyio.to_thread

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import JobWarning
from protocol.models import ModelKind
from protocol.named_models import NamedModel
from protocol.performance import FEW_STEPS, OWN_SETTINGS
from protocol.presets import PresetInfo
from protocol.requests import TASKS, TaskName, TaskSpec
from service.presets.book import Preset, PresetBook, UnknownPreset

_NAME: Final = "preset"
_OF_NEW_PICTURES: Final = frozenset({"width", "height"})
"""Of a task that starts from a picture these are to change its size, which a preset is not to."""
_OF_A_REFINER: Final = ("refiner_start", "refiner_start_by", "refiner_swap")
_TOGETHER: Final = (
    frozenset({"width", "height"}),
    frozenset({"scheduler", "noise_schedule"}),
    frozenset({"refiner", *_OF_A_REFINER}),
)
"""A request that gives one of them gets none of the others of a preset."""


class Stock(Protocol):
    """Which models there are."""

    async def missing(self, named: Sequence[NamedModel]) -> Sequence[NamedModel]:
        """Those of `named` that are not to be had."""
        ...


@dataclass(frozen=True, slots=True)
class Laid:
    """A request with its preset under it.

    Attributes:
        notes: what could not be had of the preset, to be told once there is a job.
    """

    body: object
    notes: Sequence[JobWarning] = ()


class Presets:
    """See the module. For the event loop."""

    def __init__(self, book: PresetBook, stock: Stock) -> None:
        self._book = book
        self._stock = stock

    async def infos(self) -> Sequence[PresetInfo]:
        """All presets. Looks at the disk."""
        return await anyio.to_thread.run_sync(self._book.infos)

    async def lay_under(self, body: object, *, at: str = "$") -> Laid:
        """The request, with what it leaves out as its preset has it; one that names none comes back as it is.

        Args:
            body: what a client sent, not read yet: whatever else is wrong with it stays.
            at: JSONPath of it in what the client sent.

        Raises:
            ProtocolError: `invalid_params`: there is no such preset, or it cannot be used.
        """
        asked = _asked(body)
        if asked is None:
            return Laid(body)
        place = f"{at}.params.{_NAME}"
        try:
            preset = await anyio.to_thread.run_sync(self._book.find, asked.preset)
        except UnknownPreset as error:
            raise ProtocolError(ErrorCode.INVALID_PARAMS, f"{_NAME}: {error}, at {place}", place) from None
        if preset.contents.problem is not None:
            message = f"{_NAME}: {preset.name!r} cannot be used: {preset.contents.problem}, at {place}"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, place)
        given, notes = await self._given(preset, asked)
        return Laid({**asked.body, "params": {**given, **asked.params}}, notes)

    async def _given(self, preset: Preset, asked: "_Asked") -> tuple[dict[str, Any], Sequence[JobWarning]]:
        given = dict(_wanted(preset.contents.params, asked))
        notes = []
        absent = await self._absent(given, preset.contents.models, asked)
        if "model" not in asked.params:
            there = next((name for name in preset.contents.models if (ModelKind.CHECKPOINT, name) not in absent), None)
            if there is not None:
                given["model"] = there
            elif preset.contents.models:
                notes.append(f"its model {preset.contents.models[0]!r} is not here: the server's default is used")
        for name, kind in (("vae", ModelKind.VAE), ("refiner", ModelKind.CHECKPOINT)):
            if name in given and (kind, given[name]) in absent:
                notes.append(f"its {name} {given.pop(name)!r} is not here: there is none")
        if "refiner" not in given:
            for name in _OF_A_REFINER:
                given.pop(name, None)
        if "loras" in given:
            gone = [lora["name"] for lora in given["loras"] if (ModelKind.LORA, lora["name"]) in absent]
            notes += [f"its lora {name!r} is not here: it is left out" for name in gone]
            given["loras"] = [lora for lora in given["loras"] if lora["name"] not in gone]
        return given, [_note(preset, note) for note in notes]

    async def _absent(
        self, given: Mapping[str, Any], models: Sequence[str], asked: "_Asked"
    ) -> set[tuple[ModelKind, str]]:
        wanted = [*_named(given)]
        if "model" not in asked.params:
            wanted += [NamedModel(ModelKind.CHECKPOINT, name, "model") for name in models]
        missing = await self._stock.missing(wanted) if wanted else ()
        return {(named.kind, str(named.name)) for named in missing}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that names a preset."""

    body: Mapping[str, Any]
    params: Mapping[str, Any]
    preset: str
    spec: TaskSpec


def _asked(body: object) -> _Asked | None:
    """None for one that names none, or cannot be right: it is read, and refused, as it is."""
    if not isinstance(body, dict) or body.get("task") not in list(TASKS):
        return None
    params, spec = body.get("params"), TASKS[TaskName(body["task"])]
    if not isinstance(params, dict) or _NAME not in spec.params.model_fields:
        return None
    name = params.get(_NAME)
    return _Asked(body, params, name, spec) if isinstance(name, str) else None


def _wanted(values: Mapping[str, Any], asked: _Asked) -> Iterator[tuple[str, Any]]:
    """What the request leaves out, of what its task has."""
    mode = asked.params.get("performance", values.get("performance"))
    starts_from_picture = bool(asked.spec.image_fields)
    for name, value in values.items():
        if name in asked.params or name not in asked.spec.params.model_fields:
            continue
        if starts_from_picture and name in _OF_NEW_PICTURES:
            continue
        if any(name in group and not group.isdisjoint(asked.params) for group in _TOGETHER):
            continue
        if mode in FEW_STEPS and name in OWN_SETTINGS:
            continue  # they would have no effect, and there would be a warning of what nobody asked for
        if name == "steps" and "performance" in asked.params:
            continue
        yield name, value


def _named(given: Mapping[str, Any]) -> Iterator[NamedModel]:
    if "vae" in given:
        yield NamedModel(ModelKind.VAE, given["vae"], "vae")
    if "refiner" in given:
        yield NamedModel(ModelKind.CHECKPOINT, given["refiner"], "refiner")
    for lora in given.get("loras", ()):
        yield NamedModel(ModelKind.LORA, lora["name"], "loras")


def _note(preset: Preset, message: str) -> JobWarning:
    return JobWarning(code="preset_incomplete", message=f"{_NAME}: {preset.name!r}: {message}")
