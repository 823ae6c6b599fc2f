"""Every model of a server, as clients see it; and the place of those that are on their way. No torch.

Implements `service.models.Shelf`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from engine.diffusion.families import FAMILIES, PipelineKind
from engine.diffusion.known_defaults import known_defaults, shown_size
from engine.interface import EngineError
from engine.library.default import EMBEDDED_MODEL, default_checkpoint
from engine.library.hashes import HashCache
from engine.library.library import Library
from engine.library.looks import look_at
from engine.library.records import FoundModel, ModelKind
from engine.library.walk import Candidate
from engine.models.files import status
from protocol.models import ModelInfo, ModelSettings
from protocol.requests import TaskName

_FOLDERS: Final[Mapping[ModelKind, str]] = {
    ModelKind.CHECKPOINT: "checkpoints",
    ModelKind.LORA: "loras",
    ModelKind.VAE: "vae",
    ModelKind.CONTROLNET: "controlnet",
    ModelKind.BRUSHNET: "brushnet",
    ModelKind.IP_ADAPTER: "ip_adapter",
    ModelKind.IMAGE_ENCODER: "image_encoders",
    ModelKind.UPSCALER: "upscalers",
    ModelKind.EMBEDDING: "embeddings",
    ModelKind.PREVIEW_DECODER: "vae_approx",
}
"""Below the models folder. Their names tell the library the kind of a file whose contents do not."""
_PIPELINES: Final[Mapping[PipelineKind, tuple[TaskName, ...]]] = {
    PipelineKind.TEXT_TO_IMAGE: (TaskName.TEXT_TO_IMAGE,),
    PipelineKind.IMAGE_TO_IMAGE: (TaskName.IMAGE_TO_IMAGE,),
    PipelineKind.INPAINT: (TaskName.INPAINT, TaskName.OUTPAINT, TaskName.ENHANCE),
}
_GENERATING: Final = tuple(task for tasks in _PIPELINES.values() for task in tasks)
_ALL_AROUND: Final = (
    ModelKind.EMBEDDING,
    ModelKind.LORA,
    ModelKind.VAE,
    ModelKind.CONTROLNET,
    ModelKind.IP_ADAPTER,
    ModelKind.IMAGE_ENCODER,
)
_TASKS: Final[Mapping[ModelKind, tuple[TaskName, ...]]] = {
    **dict.fromkeys(_ALL_AROUND, _GENERATING),
    ModelKind.BRUSHNET: (TaskName.INPAINT, TaskName.OUTPAINT),
}
"""What models other than checkpoints can be named in."""
_LICENCES: Final[Mapping[str, str]] = {EMBEDDED_MODEL: "Apache-2.0"}


def packaged(models_dir: Path) -> Sequence[ModelInfo]:
    """The models of the catalogue, there or not. Looks at the disk."""
    return [
        ModelInfo(
            id=model.name,
            name=model.name,
            title=model.title,
            tasks=tuple(model.tasks),
            licence=model.licence,
            size_bytes=model.size_bytes,
            is_present=model.is_present,
            source="packaged",
        )
        for model in status(models_dir)
    ]


class Shelf:
    """See the module. Any thread may call anything.

    Args:
        models_dir: where downloads go.
        default_model: what the operator wants a request to get that names none.
        others: those that are no files of the library.
    """

    def __init__(
        self,
        library: Library,
        models_dir: Path,
        *,
        default_model: str | None = None,
        others: Callable[[], Iterable[ModelInfo]] = tuple,
    ) -> None:
        self._library = library
        self._models_dir = models_dir
        self._default_model = default_model
        self._others = others
        self._hashes = HashCache(models_dir)

    def models(self, resident: Collection[str]) -> Sequence[ModelInfo]:
        """All of them, the packaged ones first. Looks at the disk.

        Args:
            resident: what is in memory; see `Engine.resident_models`.
        """
        self._library.refresh()
        others = tuple(self._others())
        default = None if any(info.is_default for info in others) else self._default()
        listed = [*others, *(self._info(model, is_default=model == default) for model in self._library.models)]
        return [info.model_copy(update={"is_loaded": info.id in resident}) for info in listed]

    def sha256(self, model_id: str) -> str | None:
        """The hash of a model of the library; None if it is none, or has gone. Reads the whole file the first time.

        Raises:
            OSError: it cannot be read.
        """
        for model in self._library.models:
            if _id(model) == model_id:
                return self._hashes.sha256(model)
        return None

    def place(self, kind: ModelKind, file_name: str) -> Path | None:
        """Where a download of that name goes; None if models of that kind cannot be downloaded."""
        folder = _FOLDERS.get(kind)
        return None if folder is None else self._models_dir / folder / file_name

    def problem(self, part: Path, kind: ModelKind, file_name: str) -> str | None:
        """Why a file that has arrived cannot be used as what it was asked for, in words for a person; None if it can.

        Args:
            part: where it lies.
            file_name: what it will be called; the extension says in which format it is.
        """
        stat = part.stat()
        candidate = Candidate(
            path=part,
            relative=Path(file_name).stem,
            hint=kind,
            is_folder=False,
            signature=(("", stat.st_size, stat.st_mtime_ns, stat.st_ino),),
            extension=Path(file_name).suffix,
        )
        look = look_at(candidate)
        if look is None:
            return "it is no model"
        if look.sniffed.problem is not None:
            return look.sniffed.problem
        return None if look.kind is kind else f"it is of the kind {look.kind}, not {kind}"

    def take_in(self, path: Path, sha256: str | None) -> str | None:
        """Notice a file that has got its name.

        Args:
            sha256: its hash, if it is known.

        Returns:
            The id it is listed under; None if it is not: it has gone again, or lies in a folder that is not looked at.
        """
        self._library.refresh()
        for model in self._library.models:
            if model.path == path:
                if sha256 is not None:
                    self._hashes.note(model, sha256)
                return _id(model)
        return None

    def _default(self) -> FoundModel | None:
        if self._default_model is None:
            return default_checkpoint(self._library.models)
        try:
            return self._library.find(self._default_model, ModelKind.CHECKPOINT)
        except EngineError:  # a request that names none is told so
            return None

    def _info(self, model: FoundModel, *, is_default: bool) -> ModelInfo:
        defaults = known_defaults(model)
        size = None if defaults is None else shown_size(defaults)
        return ModelInfo(
            id=_id(model),
            name=model.name,
            title=model.name,
            file=None if model.is_folder else f"{model.relative}{model.path.suffix}",
            tasks=_tasks(model),
            licence=_LICENCES.get(model.name, "unknown") if model.source == "embedded" else "unknown",
            size_bytes=model.size_bytes,
            is_present=True,
            kind=model.kind,
            family=model.family.value,
            source=model.source,
            is_default=is_default,
            problem=model.problem,
            defaults=None
            if defaults is None or size is None
            else ModelSettings(
                width=size.width, height=size.height, steps=defaults.steps, guidance_scale=defaults.guidance_scale
            ),
            sha256=self._hashes.known(model),
        )


def _id(model: FoundModel) -> str:
    return f"{model.kind}:{model.name}"


def _tasks(model: FoundModel) -> tuple[TaskName, ...]:
    if model.problem is not None:
        return ()
    if model.kind is not ModelKind.CHECKPOINT:
        return _TASKS.get(model.kind, ())
    if model.family not in FAMILIES:
        return ()
    spec = FAMILIES[model.family]
    kinds = spec.pipelines or (PipelineKind.TEXT_TO_IMAGE,)
    tasks = (task for kind in kinds for task in _PIPELINES[kind])
    return tuple(task for task in tasks if spec.paints_anew or task is not TaskName.OUTPAINT)
