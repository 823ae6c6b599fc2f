"""IP-Adapters of one model in memory: attention to pictures, laid over its denoiser for the jobs that want it.

What diffusers makes of the files (attention processors and a projection of what an image encoder sees) is kept here,
and put into the denoiser only for a forward that wants it: with it in place a UNet cannot do without pictures.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn

from engine.diffusion.kinship import may_fit
from engine.diffusion.loaded import LoadedModel, module_bytes
from engine.diffusion.loras import ask_nobody
from engine.diffusion.movable import bytes_of
from engine.diffusion.scope import NO_ADAPTERS, AdapterState, switch_adapters
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.weights import Tensors, read_tensors
from engine.interface import Call, EngineError, Where
from engine.library.records import Family, FoundModel
from protocol.errors import ErrorCode

MOST_BYTES: Final = 1 << 30
_FAMILIES: Final = frozenset(
    {
        *(Family.SD1, Family.SD1_INPAINT, Family.POWERPAINT),
        *(Family.SD2, Family.SD2_INPAINT),
        *(Family.SDXL, Family.SDXL_INPAINT),
    }
)
_PROJECTS: Final = "ip_image_proj"
"""How a UNet's configuration says that it is given pictures."""

Key: TypeAlias = tuple[tuple[str, int, float], ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What an IP-Adapter has to be given of a picture.

    Attributes:
        width: of what the image encoder tells.
        is_detailed: states of every patch instead of one vector.
    """

    width: int
    is_detailed: bool


@dataclass(frozen=True, slots=True, eq=False)
class ReadyAdapters:
    """Some IP-Adapters together, in memory.

    Attributes:
        key: of these files.
        sights: what each of them has to be given.
        processors: attention layer of the denoiser -> what attends to the pictures as well.
        projection: of what is seen, in the place of the denoiser's own.
    """

    key: Key
    sights: tuple[Sight, ...]
    processors: Mapping[Any, Any]
    projection: nn.Module

    @property
    def size_bytes(self) -> int:
        attending = [each for each in self.processors.values() if isinstance(each, nn.Module)]
        return sum(module_bytes(part) for part in (*attending, self.projection))


class IpAdapters:
    """All that is in memory for one model. For the executor thread.

    Args:
        most_bytes: of all together; the least recently used go, unless a job uses them.
        make_room: has others leave memory for so many bytes, as far as they can.
    """

    def __init__(
        self, model: LoadedModel, *, most_bytes: int = MOST_BYTES, make_room: Callable[[int], None] = ask_nobody
    ) -> None:
        self._model = model
        self._make_room = make_room
        self._most_bytes = most_bytes
        self._ready: OrderedDict[Key, ReadyAdapters] = OrderedDict()
        self._users: Counter[Key] = Counter()

    @property
    def size_bytes(self) -> int:
        """Of all in memory."""
        return sum(ready.size_bytes for ready in self._ready.values())

    def bring(self, found: Sequence[FoundModel]) -> Generator[Call, Any, ReadyAdapters]:
        """These together in memory, loaded if they are not. Use with `yield from`, and hold them with `in_use`.

        Raises:
            EngineError: `invalid_params`: one is for other models; `bad_model`: one cannot be loaded. The model is as
                it was.
        """
        for each in found:
            self._check(each)
        key = tuple((str(each.path), each.size_bytes, each.modified_at) for each in found)
        if key not in self._ready:
            files = []
            for each in found:
                try:
                    files.append((yield Call(partial(_read, each.path, self._model.dtype), Where.POOL, "read")))
                except READ_ERRORS as error:
                    raise _unusable(each, error) from None
            try:
                ready = yield Call(partial(self._make, key, files), stage="load")
            except READ_ERRORS as error:
                raise _unusable(found[-1], error) from None
            self._ready[key] = ready
            self._shrink(keep=key)
        self._ready.move_to_end(key)
        return self._ready[key]

    @contextmanager
    def in_use(self, ready: ReadyAdapters) -> Iterator[None]:
        """Within it these stay in memory."""
        self._users[ready.key] += 1
        try:
            yield
        finally:
            self._users[ready.key] -= 1
            self._shrink()

    def state(self, ready: ReadyAdapters, weights: Sequence[float]) -> AdapterState:
        """These over the denoiser, each with a weight."""
        laid = _Laid(self._model.denoiser, ready, list(weights))
        return AdapterState(("image_prompts", ready.key, tuple(weights)), laid.lay_over, laid.lift_off)

    def _check(self, found: FoundModel) -> None:
        model = self._model
        if model.family not in _FAMILIES:
            message = f"image_prompts: {model.name!r} is of the family {model.family}, which takes none here"
        elif not may_fit(found.family, model.family):
            message = (
                f"image_prompts: {found.name!r} is made for {found.family}, "
                f"and {model.name!r} is of the family {model.family}"
            )
        else:
            return
        raise EngineError(ErrorCode.INVALID_PARAMS, f"{message} at $.params.image_prompts")

    def _make(self, key: Key, files: Sequence[Tensors]) -> ReadyAdapters:
        """What diffusers makes of the files; changes nothing in the denoiser. A device call."""
        unet: Any = self._model.denoiser
        # The layers are told by their names, and one that is laid over now would bring more.
        switch_adapters(unet, NO_ADAPTERS)
        self._make_room(sum(bytes_of(tensor) for file in files for tensor in file.values()))
        parts = [{part: _part(file, part) for part in ("image_proj", "ip_adapter")} for file in files]
        sights = tuple(_sight(part["image_proj"]) for part in parts)
        attending = unet._convert_ip_adapter_attn_to_diffusers(parts)
        projections = [unet._convert_ip_adapter_image_proj_to_diffusers(part["image_proj"]) for part in parts]
        from diffusers.models.embeddings import MultiIPAdapterImageProjection

        projection: Any = MultiIPAdapterImageProjection(projections)
        processors = {}
        for name, layer in _attentions(unet).items():
            made = attending[f"{name}.processor"]
            if isinstance(made, nn.Module):  # the others attend to themselves, as they do without
                processors[layer] = self._settled(made)
        return ReadyAdapters(key, sights, processors, self._settled(projection))

    def _settled(self, module: nn.Module) -> nn.Module:
        settled = module.to(self._model.home, self._model.dtype)
        return settled.requires_grad_(requires_grad=False).eval()

    def _shrink(self, *, keep: Key | None = None) -> None:
        for key in list(self._ready):
            if self.size_bytes <= self._most_bytes:
                return
            if not self._users[key] and key != keep:
                switch_adapters(self._model.denoiser, NO_ADAPTERS)
                del self._ready[key]


class _Laid:
    """IP-Adapters over a denoiser, and what was there before."""

    def __init__(self, unet: Any, ready: ReadyAdapters, weights: list[float]) -> None:
        self._unet = unet
        self._ready = ready
        self._weights = weights
        self._own: dict[Any, Any] = {}
        self._projects: object = None

    def lay_over(self, module: nn.Module) -> None:
        is_denoiser = module is self._unet
        if not is_denoiser:
            return
        self._own = {layer: layer.processor for layer in self._ready.processors}
        for layer, processor in self._ready.processors.items():
            processor.scale = list(self._weights)
            layer.set_processor(processor)
        self._projects = self._unet.config.encoder_hid_dim_type
        self._unet.encoder_hid_proj = self._ready.projection
        self._unet.config.encoder_hid_dim_type = _PROJECTS

    def lift_off(self, module: nn.Module) -> None:
        is_denoiser = module is self._unet
        if not is_denoiser:
            return
        for layer, processor in self._own.items():
            layer.set_processor(processor)
        del self._unet.encoder_hid_proj
        self._unet.encoder_hid_proj = None
        self._unet.config.encoder_hid_dim_type = self._projects


def _attentions(unet: nn.Module) -> dict[str, Any]:
    return {name: layer for name, layer in unet.named_modules() if hasattr(layer, "set_processor")}


def _sight(projection: Tensors) -> Sight:
    """Told by the projection's layers.

    Raises:
        ValueError: it is of a kind that is given faces, not pictures.
    """
    if "proj.weight" in projection:
        return Sight(projection["proj.weight"].shape[-1], is_detailed=False)
    if "proj.3.weight" in projection:
        return Sight(projection["proj.0.weight"].shape[-1], is_detailed=True)
    if "latents" in projection and "proj_in.weight" in projection:
        return Sight(projection["proj_in.weight"].shape[-1], is_detailed=True)
    raise ValueError("it is given what a face recogniser sees, which is not known here")


def _part(file: Tensors, part: str) -> Tensors:
    found = {name.removeprefix(f"{part}."): tensor for name, tensor in file.items() if name.startswith(f"{part}.")}
    if not found:
        raise ValueError(f"it has no {part}")
    return found


def _read(path: Path, dtype: torch.dtype) -> Tensors:
    """On the side pool."""
    if path.suffix == ".safetensors":
        return read_tensors(path, (), dtype)
    saved = torch.load(path, map_location="cpu", weights_only=True)
    return {
        f"{part}.{name}": tensor.to(dtype, copy=True)
        for part, tensors in saved.items()
        if isinstance(tensors, dict)
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor)
    }


def _unusable(found: FoundModel, error: Exception) -> ModelUnusable:
    let_go(error)
    return ModelUnusable(found.name, explain(error, found.path))
