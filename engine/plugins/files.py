"""Where the files of published models lie, and how one is brought into memory.

A file is looked for in the models folder, in `plugins/` and `upscalers/` below it, in `torch/hub/checkpoints/`, where
IOPaint and rembg put theirs, and where ComfyUI and A1111 have upscalers; likewise in the other model folders. A model
of the Hugging Face hub is also found in a hub's cache that such a folder is, or has in `huggingface/hub/`.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.interface import Call, EngineError, Where
from engine.interface.downloads import Downloader, DownloadFailed, WantedFile
from engine.models.residency import Loader, Residency, T
from engine.models.shared_load import Loading
from engine.plugins.published import PLUGIN_MODELS, PluginModel
from protocol.errors import ErrorCode
from protocol.models import ModelInfo

_DOWNLOADS: Final = "plugins"
_FOLDERS: Final = (
    "",
    _DOWNLOADS,
    "upscalers",
    "torch/hub/checkpoints",
    *("upscale_models", "ESRGAN", "RealESRGAN"),
    *("models/upscale_models", "models/ESRGAN", "models/RealESRGAN"),
    # Where Fooocus puts what looks at pictures.
    *("clip_vision", "safety_checker", "models/clip_vision", "models/safety_checker"),
)
_HUBS: Final = ("", "huggingface/hub")
_LOOK_S: Final = 20.0
"""A wait is made of shorter ones, so that it never seems to be a call that does not come back."""
_NOT_ALLOWED: Final = "its licence does not allow commercial use; see the setting allow_noncommercial_models"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFiles:
    """The published models of one installation. Any thread may ask; every method looks at the disk.

    Attributes:
        models_dir: where downloads go, into `plugins/`.
        folders: other folders to look in, never written to.
        allows_noncommercial: models whose licence forbids commercial use may be used.
        downloader: brings what a job needs and is not there; None: nobody does.
    """

    models_dir: Path
    folders: Sequence[Path] = ()
    allows_noncommercial: bool = False
    downloader: Downloader | None = None

    def find(self, name: str) -> Path | None:
        """The best file there is of a model; None if there is none."""
        model = PLUGIN_MODELS[name]
        roots = (self.models_dir, *self.folders)
        for file in model.files:
            for root in roots:
                for path in _places(model, file, root):
                    if path.is_file():
                        return path
        return None

    def bring(self, name: str) -> Generator[Call, Any, Path]:
        """The file of a model, downloaded if it must be and can be. Use with `yield from`.

        Raises:
            EngineError: `forbidden`: its licence; `model_missing`: which file, where it is published, where to put it.
        """
        model = PLUGIN_MODELS[name]
        if not (model.is_commercial or self.allows_noncommercial):
            raise EngineError(ErrorCode.FORBIDDEN, f"the model {name!r} is not used here: {_NOT_ALLOWED}")
        path = self.find(name)
        if path is None and self.downloader is not None and model.md5:
            path = yield from self._download(model, self.downloader)
        if path is None:
            raise _absence(model)
        return path

    def use(self, name: str, residency: Residency, load: Loader[T]) -> Generator[Call, Any, T]:
        """The network of a model, loaded if it must be. Use with `yield from`.

        Args:
            load: makes it of the file, on a device; always the same for one name.

        Raises:
            EngineError: as `bring`, before anything is loaded.
        """
        path = yield from self.bring(name)
        stat = path.stat()

        def steps() -> Loading[T]:
            network: T = yield Call(lambda: load(path, residency.device))
            return network

        stamp = (str(path), stat.st_size, stat.st_mtime_ns)
        return (yield from residency.keep(PLUGIN_MODELS[name].id, stat.st_size, steps, stamp=stamp, files=(path,)))

    def listed(self) -> Sequence[ModelInfo]:
        """All published models as clients see them, there or not."""
        return [self._info(model) for model in PLUGIN_MODELS.values()]

    def _info(self, model: PluginModel) -> ModelInfo:
        path = self.find(model.name)
        may_be_used = model.is_commercial or self.allows_noncommercial
        return ModelInfo(
            id=model.id,
            kind=model.kind,
            name=model.name,
            title=model.title,
            tasks=model.tasks if may_be_used else (),
            licence=model.licence,
            size_bytes=model.size_bytes if path is None else path.stat().st_size,
            is_present=path is not None,
            source="published",
            problem=None if may_be_used else _NOT_ALLOWED,
        )

    def _download(self, model: PluginModel, downloader: Downloader) -> Generator[Call, Any, Path]:
        target = self.models_dir / _DOWNLOADS / model.files[0]
        wanted = WantedFile(url=model.url, target=target, md5=model.md5, size_bytes=model.size_bytes)
        coming = downloader.begin(model.id, [wanted])
        look = Call(partial(coming.wait, _LOOK_S), where=Where.OUTSIDE, stage="download", deadline_s=3 * _LOOK_S)
        try:
            while not (yield look):
                pass
        except DownloadFailed as failure:
            raise _absence(model, str(failure)) from None
        return target


def _absence(model: PluginModel, reason: str | None = None) -> EngineError:
    because = "" if reason is None else f" and could not be downloaded ({reason})"
    # No path of the server's machine: whoever asks may be anybody.
    where = f"put {model.files[0]} from {model.url} into the folder {_DOWNLOADS!r} of the server's models folder"
    return EngineError(ErrorCode.MODEL_MISSING, f"the model {model.name!r} is not there{because}: {where}")


def _places(model: PluginModel, file: str, root: Path) -> Sequence[Path]:
    places = [root / folder / file for folder in _FOLDERS]
    folder, _, within = file.partition("/")
    if model.repository is not None and folder == model.repository.rpartition("/")[2]:
        cached = "models--" + model.repository.replace("/", "--")
        for hub in _HUBS:
            places += sorted((root / hub / cached / "snapshots").glob(f"*/{within}"))
    return places
