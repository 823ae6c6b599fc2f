"""The models folder: where each model's file lies, and which are there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.interface import EngineError
from engine.models.catalogue import CATALOGUE, Model, find
from protocol.errors import ErrorCode
from protocol.requests import TaskName


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """What `safelight models list` shows of one model.

    Attributes:
        licence: of the weights.
        carrier: package and version the files come in, `NAME==VERSION`.
        carrier_licence: of that package.
        is_present: whether all its files are there, in the right size.
        path: of its first file, there or not.
    """

    name: str
    title: str
    tasks: Sequence[TaskName]
    licence: str
    carrier: str
    carrier_licence: str
    size_bytes: int
    is_default: bool
    is_present: bool
    path: Path


def locate(name: str, models_dir: Path) -> Path:
    """The first file of a model; further files of it lie in the same folder.

    Raises:
        UnknownModel: no such model.
        EngineError: `model_missing`, with the command that fetches it.
    """
    model = find(name)
    if not is_present(model, models_dir):
        message = f"the model {name!r} is not in the models folder; run `safelight models pull {name}`"
        raise EngineError(ErrorCode.MODEL_MISSING, message)
    return models_dir / model.files[0].name


def is_present(model: Model, models_dir: Path) -> bool:
    """Whether all files of the model are there in the right size. Contents are checked when they are pulled."""
    return all(_size(models_dir / file.name) == file.size_bytes for file in model.files)


def status(models_dir: Path) -> tuple[ModelStatus, ...]:
    """Every model of the catalogue, in its order."""
    return tuple(
        ModelStatus(
            name=model.name,
            title=model.title,
            tasks=model.tasks,
            licence=model.licence,
            carrier=f"{model.carrier.package}=={model.carrier.version}",
            carrier_licence=model.carrier.licence,
            size_bytes=model.size_bytes,
            is_default=model.is_default,
            is_present=is_present(model, models_dir),
            path=models_dir / model.files[0].name,
        )
        for model in CATALOGUE.values()
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
