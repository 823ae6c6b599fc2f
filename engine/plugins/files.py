"""Where the files of published models lie, and how one is brought into memory.

A file is looked for in the models folder, in `plugins/` and `upscalers/` below it, and in `torch/hub/checkpoints/`,
where IOPaint and rembg put theirs; a model of the Hugging Face hub also in a hub's cache that lies in the models
folder, or in `huggingface/hub/` below it.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

from engine.interface import Call, EngineError
from engine.models.residency import Loader, Residency, T
from engine.models.shared_load import Loading
from engine.plugins.published import PLUGIN_MODELS, PluginModel
from protocol.errors import ErrorCode
from protocol.models import ModelInfo

_FOLDERS: Final = ("", "plugins", "upscalers", "torch/hub/checkpoints")
_HUBS: Final = ("", "huggingface/hub")
FILE_NAMES: Final = frozenset(file for model in PLUGIN_MODELS.values() for file in model.files if "/" not in file)
"""None of them is a model of the library."""


def find_file(model: PluginModel, models_dir: Path) -> Path | None:
    """The best file there is of a model; None if there is none. Looks at the disk."""
    for file in model.files:
        for path in _places(model, file, models_dir):
            if path.is_file():
                return path
    return None


def is_there(name: str, models_dir: Path) -> bool:
    """Whether a published model can be used. Looks at the disk."""
    return find_file(PLUGIN_MODELS[name], models_dir) is not None


def locate_file(name: str, models_dir: Path) -> Path:
    """The file of a published model.

    Raises:
        EngineError: `model_missing`: which file, where it is published, and where to put it.
    """
    model = PLUGIN_MODELS[name]
    path = find_file(model, models_dir)
    if path is None:
        # No path of the server's machine: whoever asks may be anybody.
        where = f"put {model.files[0]} from {model.url} into the folder 'plugins' of the server's models folder"
        raise EngineError(ErrorCode.MODEL_MISSING, f"the model {name!r} is not there: {where}")
    return path


def use_file(residency: Residency, name: str, load: Loader[T]) -> Generator[Call, Any, T]:
    """The network of a published model, loaded if it must be. Use with `yield from`.

    Args:
        load: makes it of the file, on a device; always the same for one name.

    Raises:
        EngineError: `model_missing`, before anything is loaded.
    """
    path = locate_file(name, residency.models_dir)
    stat = path.stat()

    def steps() -> Loading[T]:
        network: T = yield Call(lambda: load(path, residency.device))
        return network

    stamp = (str(path), stat.st_size, stat.st_mtime_ns)
    return (yield from residency.keep(name, stat.st_size, steps, stamp=stamp, files=(path,)))


def listed(models_dir: Path) -> Sequence[ModelInfo]:
    """All published models as clients see them, there or not. Looks at the disk."""
    return [
        ModelInfo(
            id=model.name,
            name=model.name,
            title=model.title,
            tasks=model.tasks,
            licence=model.licence,
            size_bytes=model.size_bytes,
            is_present=find_file(model, models_dir) is not None,
        )
        for model in PLUGIN_MODELS.values()
    ]


def _places(model: PluginModel, file: str, models_dir: Path) -> Sequence[Path]:
    places = [models_dir / folder / file for folder in _FOLDERS]
    folder, _, within = file.partition("/")
    if model.repository is not None and folder == model.repository.rpartition("/")[2]:
        cached = "models--" + model.repository.replace("/", "--")
        for hub in _HUBS:
            places += sorted((models_dir / hub / cached / "snapshots").glob(f"*/{within}"))
    return places
