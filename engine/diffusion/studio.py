"""What the generating tasks share: the models there are, those in memory, and what goes with each.

Studio         finds a model by name and has it ready
ReadyModel     one model in memory: its pipelines, its prompt encoder, its previews
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from torch import nn

from engine.device import Device
from engine.diffusion.dtype import best_dtype
from engine.diffusion.folders import weight_files
from engine.diffusion.interception import intercept_components
from engine.diffusion.ip_adapters import IpAdapters
from engine.diffusion.known_defaults import shown_size
from engine.diffusion.loaded import LoadedModel, module_bytes
from engine.diffusion.loading import loading
from engine.diffusion.loras import Loras
from engine.diffusion.previews import Previewer, previewer_for
from engine.diffusion.prompts import PromptEncoder
from engine.diffusion.sizes import Size, WorkingSize
from engine.diffusion.tiny_vaes import tiny_vae_loading
from engine.interface import Call, EngineError
from engine.library.default import default_checkpoint
from engine.library.library import Library
from engine.library.records import FoundModel, ModelKind
from engine.models.residency import Residency
from protocol.errors import ErrorCode

logger = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model in memory and what goes with it. For the executor thread."""

    found: FoundModel
    loaded: LoadedModel
    encoder: PromptEncoder
    previewer: Previewer
    loras: Loras
    ip_adapters: IpAdapters
    tiny_vae: nn.Module | None = None

    @property
    def size_bytes(self) -> int:
        """Of all weights in memory."""
        return self.loaded.size_bytes + (0 if self.tiny_vae is None else module_bytes(self.tiny_vae))

    @property
    def working(self) -> WorkingSize:
        """The sizes it works at."""
        defaults = self.loaded.defaults
        return WorkingSize(defaults.width, defaults.size_multiple, is_fixed=defaults.show_px is not None)

    @property
    def default_size(self) -> Size:
        """Of a picture nobody gave a size for."""
        return shown_size(self.loaded.defaults)


class Studio:
    """The diffusion models of one engine. For the executor thread.

    Args:
        default_model: what a request gets that names none; without one the first model that was found, or else the
            embedded one.
        cache_dir: for what is measured once per model; None measures it at every load.
    """

    def __init__(
        self,
        library: Library,
        residency: Residency,
        device: Device,
        *,
        default_model: str | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.library = library
        self.device = device
        self.cache_dir = cache_dir
        self._residency = residency
        self._default_model = default_model

    def find(self, name: str | None, kind: ModelKind = ModelKind.CHECKPOINT) -> FoundModel:
        """The model a request means; looks at the disk for one it does not know. From any thread; may block.

        Args:
            name: None means the default checkpoint.

        Raises:
            EngineError: `model_missing`: there is none of that name, or none at all; `bad_model`: it is damaged.
        """
        found = self._default() if name is None else self._find(name, kind)
        if found.problem is not None:
            raise EngineError(ErrorCode.BAD_MODEL, f"model: {found.name!r} cannot be used: {found.problem}")
        return found

    def embeddings(self) -> dict[str, Path]:
        """Name -> file of the textual inversions that prompts may name."""
        return {
            model.name: model.path
            for model in self.library.models
            if model.kind is ModelKind.EMBEDDING and model.problem is None
        }

    def ready(self, found: FoundModel) -> Generator[Call, Any, ReadyModel]:
        """The model in memory, loaded if it is not. Use with `yield from`.

        Raises:
            EngineError: `bad_model`: it cannot be loaded; nothing of it is left in memory.
        """
        return (
            yield from self._residency.keep(
                resident_name(found),
                found.size_bytes,
                partial(self._load, found),
                files=weight_files(found),
                size_of=lambda ready: ready.size_bytes,
            )
        )

    def part(
        self,
        found: FoundModel,
        name: str,
        load: Callable[[], Generator[Call, Any, T]],
        size_of: Callable[[T], int],
    ) -> Generator[Call, Any, T]:
        """What goes with a model and has weights of its own, in memory; loaded if it is not. Use with `yield from`.

        Args:
            name: of it in memory; `load` is always the same for one name.
        """
        return (
            yield from self._residency.keep(name, found.size_bytes, load, files=weight_files(found), size_of=size_of)
        )

    def _find(self, name: str, kind: ModelKind = ModelKind.CHECKPOINT) -> FoundModel:
        try:
            found = self.library.find(name, kind)
        except EngineError as error:
            if error.code is not ErrorCode.MODEL_MISSING:
                raise
        else:
            if found.path.exists():
                return found
        # It may have been put there, or moved, since the last look.
        self.library.refresh()
        return self.library.find(name, kind)

    def _default(self) -> FoundModel:
        if self._default_model is not None:
            return self._find(self._default_model)
        if not self.library.models:
            self.library.refresh()
        found = default_checkpoint(self.library.models)
        if found is None:
            raise EngineError(ErrorCode.MODEL_MISSING, "model: there is no model to make pictures with on this server")
        return found

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """Within it the model or part of that name in memory stays there."""
        with self._residency.in_use(name):
            yield

    def stay(self, found: FoundModel) -> None:
        """Keep it in memory, also if it was to go when its last user has gone."""
        self._residency.stay(resident_name(found))

    def _load(self, found: FoundModel) -> Generator[Call, Any, ReadyModel]:
        torch_device = self.device.torch_device
        dtype = best_dtype(torch_device, found.family)
        loaded = yield from loading(found, torch_device, dtype, models_dir=self._residency.models_dir)
        intercept_components(loaded.components, wait=self.device.wait)
        folder = found.path if found.is_folder else None
        tiny_vae = yield from tiny_vae_loading(self.library.models, loaded, folder)
        if tiny_vae is not None:
            intercept_components({"vae": tiny_vae}, wait=self.device.wait)
        previewer = yield from previewer_for(loaded, self.cache_dir, tiny_vae=tiny_vae)
        zeroes = loaded.settings.get("force_zeros_for_empty_prompt")
        encoder = PromptEncoder(loaded.components, loaded.family, zeroes_missing_negative=zeroes)
        return ReadyModel(
            found=found,
            loaded=loaded,
            encoder=encoder,
            previewer=previewer,
            loras=Loras(loaded),
            ip_adapters=IpAdapters(loaded),
            tiny_vae=tiny_vae,
        )


def resident_name(found: FoundModel) -> str:
    """What the model is called among everything in memory."""
    return f"{found.kind}:{found.name}"
