"""Where the weight files of the erase models lie, which are missing, and whether their licence lets them be used.

A file is looked for by its name, in this order:

    models_dir, models_dir/erasers, models_dir/torch/hub/checkpoints      the last as IOPaint arranges its folder
    each of model_folders, and torch/hub/checkpoints in it                used in place, never written to

What is missing is downloaded to `models_dir/erasers` if there is somebody to do that; see `downloader`.
IOPaint's environment variables `NAME_MODEL_URL` and `NAME_MODEL_MD5` replace the published address and checksum. An
address that is a file on this machine is that file. An empty checksum checks nothing.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from engine.inpainting.published import LICENCES, VARIABLES, WeightFile
from engine.interface import EngineError
from protocol.erasing import EraseModel
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from engine.inpainting.descriptor import EraseModelSpec

_DOWNLOADS: Final = "erasers"
_TORCH_HUB: Final = PurePosixPath("torch/hub/checkpoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weight files of one installation. Any thread may ask; every method looks at the disk.

    Attributes:
        models_dir: where downloads go.
        folders: other folders to look in, never written to.
        allows_noncommercial: models whose licence forbids commercial use, or is not known, may be used.
        environ: of the process.
    """

    models_dir: Path
    folders: Sequence[Path] = ()
    allows_noncommercial: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def files(self, spec: "EraseModelSpec") -> tuple[WeightFile, ...]:
        """The files of a model as this installation wants them: with what the environment replaces."""
        return tuple(configured(file, self.environ) for file in spec.files)

    def find(self, file: WeightFile) -> Path | None:
        """Where a file is; None if it is nowhere.

        Args:
            file: as `files` gives it.
        """
        local = Path(file.url)
        if "://" not in file.url and local.is_file():
            return local
        return next((path for path in self._places(file.name) if path.is_file()), None)

    def target(self, file: WeightFile) -> Path:
        """Where a download of the file goes."""
        return self.models_dir / _DOWNLOADS / file.name

    def missing(self, spec: "EraseModelSpec") -> tuple[WeightFile, ...]:
        """The files of a model that are nowhere."""
        return tuple(file for file in self.files(spec) if self.find(file) is None)

    def is_present(self, spec: "EraseModelSpec") -> bool:
        """Whether all its files are there."""
        return not self.missing(spec)

    def locate(self, spec: "EraseModelSpec") -> tuple[Path, ...]:
        """The files of a model, in the order its loader wants them.

        Raises:
            EngineError: `model_missing`: what is missing, where it is published, and where it is to be put.
        """
        paths = [self.find(file) for file in self.files(spec)]
        found = tuple(path for path in paths if path is not None)
        if len(found) < len(paths):
            raise self.absence(spec)
        return found

    def absence(self, spec: "EraseModelSpec", reason: str | None = None) -> EngineError:
        """What a job is told whose model is not there.

        Args:
            reason: why it was not downloaded.
        """
        absent = self.missing(spec)
        listed = "; ".join(f"{file.name} from {_shown(file.url)}" for file in absent)
        because = "" if reason is None else f" and could not be downloaded ({reason})"
        # No path of the server's machine: whoever asks may be anybody.
        where = f"the folder {_DOWNLOADS!r} of the server's models folder"
        message = f"the model {spec.name.value!r} is not there{because}: put {listed} into {where}"
        return EngineError(ErrorCode.MODEL_MISSING, message)

    def check_licence(self, spec: "EraseModelSpec") -> None:
        """Whether this installation may use the model.

        Raises:
            EngineError: `forbidden`: its licence does not allow commercial use, or is not known.
        """
        if spec.is_commercial or self.allows_noncommercial:
            return
        licence = LICENCES.get(spec.name)
        why = "" if licence is None else f" ({licence.why})"
        message = (
            f"the model {spec.name.value!r} is under {spec.licence}{why}: this server uses it only if its setting "
            "allow_noncommercial_models is on"
        )
        raise EngineError(ErrorCode.FORBIDDEN, message)

    def _places(self, name: str) -> Sequence[Path]:
        roots = (self.models_dir, self.models_dir / _DOWNLOADS, self.models_dir / _TORCH_HUB)
        return [
            *(root / name for root in roots),
            *(place / name for folder in self.folders for place in (folder, folder / _TORCH_HUB)),
        ]


def configured(file: WeightFile, environ: Mapping[str, str]) -> WeightFile:
    """A published file, or what the environment puts in its place."""
    variable = VARIABLES.get(file.name)
    if variable is None:
        return file
    url = environ.get(f"{variable}_MODEL_URL", "").strip() or file.url
    md5 = environ.get(f"{variable}_MODEL_MD5", file.md5).strip().lower()
    if url == file.url and md5 == file.md5:
        return file
    name = file.name if url == file.url else _name_in(url) or file.name
    return replace(file, name=name, url=url, md5=md5)


def names(environ: Mapping[str, str], specs: "Collection[EraseModelSpec]") -> frozenset[str]:
    """What all files of these models are called; they are no models of the library."""
    return frozenset(configured(file, environ).name for spec in specs for file in spec.files)


def licence_of(model: EraseModel) -> tuple[str, bool]:
    """Name of the licence of a model's weights, and whether it allows commercial use."""
    licence = LICENCES[model]
    return licence.name, licence.is_commercial


def _shown(url: str) -> str:
    """An address without what an operator may have put into it for the server alone."""
    if "://" not in url:
        return "where the operator says"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _name_in(url: str) -> str:
    path = urlsplit(url).path if "://" in url else Path(url).as_posix()
    name = PurePosixPath(unquote(path)).name
    return "" if name in {"", ".", ".."} else name
