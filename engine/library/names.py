"""One name per model, and which model a name from outside means.

A model's name is the stem of its file or the name of its folder. Where two of a kind share it, each is named by its
path within the folder it was found in; where they share that, too, by its source and that path; at last by a number.
What the Hugging Face cache holds is `ORG/NAME`.

Names from outside are those of other programs: with or without extension, with subfolders, with slashes either way,
in other letters' case, with the hash that A1111 appends in brackets. One such name and a model's path match if
either ends with the other, part by part.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from engine.interface import EngineError
from engine.library.records import FoundModel, ModelKind
from engine.library.walk import EXTENSIONS
from protocol.errors import ErrorCode

_HASH: Final = re.compile(r"\s*\[[0-9a-fA-F]{6,64}\]\s*$")
_SHOWN_CHARACTERS: Final = 80
_SHOWN_NAMES: Final = 3
_MAX_LENGTH: Final = 1000

_LEVELS: Final[tuple[Callable[[FoundModel], str], ...]] = (
    lambda model: model.name,
    lambda model: model.relative,
    lambda model: f"{model.source}/{model.relative}",
)


def named_apart(models: Iterable[FoundModel]) -> tuple[FoundModel, ...]:
    """The same models, no two of a kind with one name.

    Args:
        models: their `name` is the one they would like to have.
    """
    pending = list(models)
    names = [model.name for model in pending]
    for level in _LEVELS[1:]:
        taken = Counter((model.kind, name) for model, name in zip(pending, names, strict=True))
        names = [
            level(model) if taken[(model.kind, name)] > 1 else name for model, name in zip(pending, names, strict=True)
        ]
    used: set[tuple[ModelKind, str]] = set()
    apart: list[FoundModel] = []
    for model, name in zip(pending, names, strict=True):
        unique, number = name, 2
        while (model.kind, unique) in used:
            unique, number = f"{name} ({number})", number + 1
        used.add((model.kind, unique))
        apart.append(replace(model, name=unique))
    return tuple(apart)


def find(models: Sequence[FoundModel], name: str, kind: ModelKind) -> FoundModel:
    """The model of that kind that `name` means.

    Raises:
        EngineError: `model_missing`, with up to three names that are close; `invalid_params`: it means several.
    """
    there = [model for model in models if model.kind is kind]
    for model in there:
        if model.name == name:
            return model
    asked = _parts(name[:_MAX_LENGTH])
    for fold in (str, str.casefold):
        matching = [model for model in there if _matches(model, asked, fold)]
        usable = [model for model in matching if model.problem is None] or matching
        if len(usable) == 1:
            return usable[0]
        if usable:
            names = ", ".join(repr(model.name) for model in usable)
            message = f"the {_words(kind)} name {_shown(name)} means several: {names}; name one of them"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
    raise EngineError(ErrorCode.MODEL_MISSING, _missing(there, name, kind))


def _matches(model: FoundModel, asked: Sequence[str], fold: Callable[[str], str]) -> bool:
    wanted = [fold(part) for part in asked]
    for told in (model.relative, model.name):
        parts = fold(told).split("/")
        shared = min(len(parts), len(wanted))
        if shared and parts[-shared:] == wanted[-shared:]:
            return True
    return False


def _parts(name: str) -> Sequence[str]:
    bare = _HASH.sub("", name.strip()).replace("\\", "/").strip("/")
    path = PurePosixPath(bare)
    if path.suffix.casefold() in EXTENSIONS:
        path = path.with_suffix("")
    return [part for part in path.parts if part not in {".", ".."}]


def _missing(there: Sequence[FoundModel], name: str, kind: ModelKind) -> str:
    if not there:
        return f"there is no {_words(kind)} {_shown(name)}: the library holds none of that kind"
    asked = "/".join(_parts(name[:_MAX_LENGTH])).casefold()
    by_folded = {model.name.casefold(): model.name for model in there}
    close = difflib.get_close_matches(asked, by_folded, n=_SHOWN_NAMES, cutoff=0.5)
    hint = f"; close to it: {', '.join(repr(by_folded[found]) for found in close)}" if close else ""
    return f"there is no {_words(kind)} {_shown(name)} in the library{hint}"


def _shown(name: str) -> str:
    return repr(name[:_SHOWN_CHARACTERS])


def _words(kind: ModelKind) -> str:
    return kind.value.replace("_", " ")
