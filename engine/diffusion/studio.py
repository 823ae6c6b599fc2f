"""What the generating tasks share: the models there are, those in memory, and what goes with each.

Studio         finds a model by name and has it ready
ReadyModel     one model in memory: its pipelines, its prompt encoder, its previews
"""

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from torch import nn

from engine.device import Device
from engine.diffusion.dtype import best_dtype
from engine.diffusion.folders import weight_files
from engine.diffusion.inpaint_patches import PatchFiles, find_patch, patching
from engine.diffusion.intercepted import intercept_components
from engine.diffusion.ip_adapters import IpAdapters
from engine.diffusion.known_defaults import shown_size
from engine.diffusion.latent_decoders import PreviewMethod
from engine.diffusion.loaded import LoadedModel, module_bytes
from engine.diffusion.loading import loading
from engine.diffusion.loras import Loras
from engine.diffusion.offload import Offloading, Placement
from engine.diffusion.previews import Previewer, previewer_for
from engine.diffusion.prompts import PromptEncoder
from engine.diffusion.sizes import Size, WorkingSize
from engine.diffusion.tiny_vaes import tiny_vae_loading
from engine.interface import Call, EngineError
from engine.interface.engine import Offload
from engine.library.default import default_checkpoint
from engine.library.freshness import is_as_found
from engine.library.library import Library
from engine.library.records import FoundModel, ModelKind
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.prompting.expand import Wordsmith
from engine.prompting.styles import StyleBook
from protocol.errors import ErrorCode
from protocol.holes import InpaintPatch

logger = structlog.get_logger(__name__)


class Placed(Protocol):
    """What goes with a model."""

    @property
    def placement(self) -> Placement: ...


Part = TypeVar("Part", bound=Placed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model in memory and what goes with it. For the executor thread."""

    found: FoundModel
    loaded: LoadedModel
    placement: Placement
    encoder: PromptEncoder
    previewer: Previewer
    loras: Loras
    ip_adapters: IpAdapters
    tiny_vae: nn.Module | None = None

    @property
    def size_bytes(self) -> int:
        """Of what is always on the device: weights, and what lies over them for some jobs. Adapters of an offloaded
        model come and go with it."""
        tiny = 0 if self.tiny_vae is None else module_bytes(self.tiny_vae)
        if self.placement.mode is not Offload.NEVER:
            return self.placement.fixed_bytes + tiny
        return self.placement.fixed_bytes + self.adapters_bytes + tiny

    @property
    def home_bytes(self) -> int:
        """Of what the machine's memory holds for another device."""
        return self.placement.home_bytes + self.adapters_bytes if self.placement.mode is not Offload.NEVER else 0

    @property
    def adapters_bytes(self) -> int:
        """Of LoRAs and IP-Adapters."""
        return self.loras.size_bytes + self.ip_adapters.size_bytes

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
        offloading: for a device that is too small for them; None keeps all on it.
        wordsmith: has the styles and wildcards for prompts; None takes the packaged ones.
        plugins: the published models beside diffusion models; None looks where those are.
    """

    def __init__(
        self,
        library: Library,
        residency: Residency,
        device: Device,
        *,
        default_model: str | None = None,
        cache_dir: Path | None = None,
        offloading: Offloading | None = None,
        wordsmith: Wordsmith | None = None,
        plugins: PluginFiles | None = None,
    ) -> None:
        self.library = library
        self.device = device
        self.cache_dir = cache_dir
        self.wordsmith = wordsmith or Wordsmith(StyleBook())
        self.plugins = plugins or PluginFiles(models_dir=residency.models_dir, folders=library.folders)
        self.offloading = offloading or Offloading(
            device.torch_device, residency, residency.budget_bytes, Offload.NEVER
        )
        self._residency = residency
        self._default_model = default_model
        self._decode_s: dict[tuple[str, Hashable], dict[PreviewMethod, float]] = {}
        """What the decoders of each model took, so that a model that comes back is not timed anew."""

    @property
    def residency(self) -> Residency:
        """What holds the networks of this engine: diffusion models, and all others."""
        return self._residency

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

    def inpaint_patch(self, name: InpaintPatch) -> PatchFiles | None:
        """Where a patch for inpainting lies; None if it is not there. From any thread; looks at the disk."""
        return find_patch(name, [self._residency.models_dir, *self.library.folders])

    def ready(self, found: FoundModel, patch: PatchFiles | None = None) -> Generator[Call, Any, ReadyModel]:
        """The model in memory, loaded if it is not. Use with `yield from`.

        Args:
            patch: makes an inpainting model of it, which is in memory beside the other.

        Raises:
            EngineError: `bad_model`: it cannot be loaded; nothing of it is left in memory.
        """
        return (
            yield from self._residency.keep(
                resident_name(found),
                found.size_bytes,
                partial(self._load, found, patch),
                variant="" if patch is None else patch.patch.name,
                stamp=_stamp(found),
                files=weight_files(found),
                size_of=lambda ready: ready.size_bytes,
                home_size_of=lambda ready: ready.home_bytes,
                is_at_home=self.offloading.landing(found.size_bytes) != self.device.torch_device,
            )
        )

    def part(
        self,
        found: FoundModel,
        variant: str,
        load: Callable[[], Generator[Call, Any, Part]],
        model: LoadedModel,
    ) -> Generator[Call, Any, Part]:
        """What goes with `model` and has weights of its own, in memory; loaded if it is not. Use with `yield from`.

        Args:
            variant: of it in memory; `load` is always the same for one model and variant.
        """
        return (
            yield from self._residency.keep(
                resident_name(found),
                found.size_bytes,
                load,
                variant=variant,
                stamp=_stamp(found),
                files=weight_files(found),
                size_of=lambda part: part.placement.fixed_bytes,
                home_size_of=lambda part: part.placement.home_bytes,
                is_at_home=model.home != self.device.torch_device,
            )
        )

    def take_in(self, components: Mapping[str, Any], model: LoadedModel) -> Generator[Call, Any, Placement]:
        """Have networks that were loaded to go with `model` shared by jobs, at home where the model is.

        Use with `yield from`.
        """
        placement = self.offloading.place_beside(components, model.placement)
        yield from placement.settle()
        intercept_components(components, wait=self.device.wait, place=placement)
        return placement

    def _find(self, name: str, kind: ModelKind = ModelKind.CHECKPOINT) -> FoundModel:
        try:
            found = self.library.find(name, kind)
        except EngineError as error:
            if error.code is not ErrorCode.MODEL_MISSING:
                raise
        else:
            if is_as_found(found):
                return found
        # It may have been put there, replaced or moved since the last look.
        self.library.refresh()
        return self.library.find(name, kind)

    def _default(self) -> FoundModel:
        if self._default_model is not None:
            return self._find(self._default_model)
        if not self.library.models:
            self.library.refresh()
        found = default_checkpoint(self.library.models)
        if found is not None and not is_as_found(found):
            self.library.refresh()
            found = default_checkpoint(self.library.models)
        if found is None:
            raise EngineError(ErrorCode.MODEL_MISSING, "model: there is no model to make pictures with on this server")
        return found

    @contextmanager
    def in_use(self, ready: object) -> Iterator[None]:
        """Within it a model or part that was just had from here stays in memory."""
        with self._residency.in_use(ready):
            yield

    def stay(self, found: FoundModel) -> None:
        """Keep it in memory, also if it was to go when its last user has gone."""
        self._residency.stay(resident_name(found))

    def _load(self, found: FoundModel, patch: PatchFiles | None) -> Generator[Call, Any, ReadyModel]:
        torch_device = self.device.torch_device
        dtype = best_dtype(torch_device, found.family)
        home = self.offloading.landing(found.size_bytes)
        loaded = yield from loading(found, torch_device, dtype, home=home, models_dir=self._residency.models_dir)
        if patch is not None:
            yield from patching(loaded, patch)
        placement = loaded.placement = self.offloading.place(loaded.components)
        yield from placement.settle()
        intercept_components(loaded.components, wait=self.device.wait, place=placement)
        folder = found.path if found.is_folder else None
        tiny_vae = yield from tiny_vae_loading(self.library.models, loaded, folder)
        if tiny_vae is not None:
            intercept_components({"vae": tiny_vae}, wait=self.device.wait)
        previewer = yield from previewer_for(
            loaded,
            self.cache_dir,
            tiny_vae=tiny_vae,
            may_use_vae=placement.is_there,
            place_s=self._decode_s.setdefault((resident_name(found), _stamp(found)), {}),
        )
        zeroes = loaded.settings.get("force_zeros_for_empty_prompt")
        encoder = PromptEncoder(loaded.components, loaded.family, zeroes_missing_negative=zeroes)
        return ReadyModel(
            found=found,
            loaded=loaded,
            placement=placement,
            encoder=encoder,
            previewer=previewer,
            loras=Loras(loaded, make_room=self._residency.make_room),
            ip_adapters=IpAdapters(loaded, make_room=self._residency.make_room),
            tiny_vae=tiny_vae,
        )


def _stamp(found: FoundModel) -> Hashable:
    """Another one once what the model is read from has changed."""
    return (found.path, found.size_bytes, found.modified_at, found.prediction)


def resident_name(found: FoundModel) -> str:
    """What the model is called among everything in memory."""
    return f"{found.kind}:{found.name}"
