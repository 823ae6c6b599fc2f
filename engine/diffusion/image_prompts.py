"""Pictures as prompts: what an image encoder sees in them, for a job's IP-Adapters."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.diffusion.folders import Part, class_of, load_module, read_json
from engine.diffusion.ip_adapters import ReadyAdapters, Sight
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.offload import Placement
from engine.diffusion.quiet import quieten
from engine.diffusion.studio import ReadyModel, Studio
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.vision_files import build_vision, vision_config
from engine.diffusion.weights import read_tensors
from engine.images import Floats
from engine.interface import Call, EngineError, Where
from engine.library.records import FoundModel, ModelKind
from protocol.errors import ErrorCode
from protocol.guides import ImagePromptRef, PromptFit

_PART: Final = Part("image_encoder", "transformers", "CLIPVisionModelWithProjection")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyEncoder:
    """An image encoder in memory.

    Attributes:
        placement: where its weights are.
        processor: brings pictures into the form it takes.
    """

    encoder: Any
    placement: Placement
    processor: Any

    def prepare(self, picture: Floats, fit: PromptFit) -> Tensor:
        """(1, 3, its height, its width). On the side pool.

        Args:
            picture: (H, W, 3), RGB in [0, 1].
        """
        shown = Image.fromarray((picture * 255).round().astype(np.uint8))
        if fit is PromptFit.SQUASH:
            side = self.encoder.config.image_size
            shown = shown.resize((side, side), Image.Resampling.BICUBIC)
        prepared: Tensor = self.processor(shown, return_tensors="pt").pixel_values
        return prepared

    def see(self, prepared: Tensor, *, is_detailed: bool, is_guided: bool) -> Tensor:
        """What a pipeline is given of a picture. In a job's greenlet: it calls the encoder.

        Returns:
            (2, 1, ...) with the empty picture's first, or (1, 1, ...) without guidance.
        """
        weight = next(self.encoder.parameters())
        pixels = prepared.to(weight.device, weight.dtype)
        if is_detailed:
            seen = self.encoder(pixels, output_hidden_states=True).hidden_states[-2]
            if not is_guided:
                return torch.stack([seen])
            return torch.stack(
                [self.encoder(torch.zeros_like(pixels), output_hidden_states=True).hidden_states[-2], seen]
            )
        seen = self.encoder(pixels).image_embeds
        return torch.stack([torch.zeros_like(seen), seen] if is_guided else [seen])


@dataclass(frozen=True, slots=True)
class ImagePrompts:
    """All IP-Adapters of a job, in the order it named them, with the encoder each sees through."""

    adapters: ReadyAdapters
    encoders: Sequence[ReadyEncoder]
    refs: Sequence[ImagePromptRef]

    def prepare(self, pictures: Sequence[Floats]) -> list[Tensor]:
        """On the side pool."""
        return [
            encoder.prepare(picture, ref.fit)
            for encoder, picture, ref in zip(self.encoders, pictures, self.refs, strict=True)
        ]

    def arguments(self, prepared: Sequence[Tensor], *, is_guided: bool) -> Mapping[str, Any]:
        """What a pipeline is given. In a job's greenlet."""
        seen = [
            encoder.see(picture, is_detailed=sight.is_detailed, is_guided=is_guided)
            for encoder, picture, sight in zip(self.encoders, prepared, self.adapters.sights, strict=True)
        ]
        return {"ip_adapter_image_embeds": seen}


def choose_encoder(
    studio: Studio, adapter: FoundModel, sight: Sight, model: ReadyModel
) -> Generator[Call, Any, ReadyEncoder]:
    """The image encoder an IP-Adapter was trained with, in memory, loaded if it is not. Use with `yield from`.

    Of those that tell vectors of the right width, one that lies beside the adapter, or else any of the library.

    Raises:
        EngineError: `model_missing`: there is none; `bad_model`: it cannot be loaded.
    """
    found = next(_fitting(studio, adapter, sight), None)
    if found is None:
        message = (
            f"there is no image encoder for the ip adapter {adapter.name!r} in the library: it needs one of width "
            f"{sight.width}, as a folder or as a safetensors file in the layout of transformers"
        )
        raise EngineError(ErrorCode.MODEL_MISSING, message)
    return (yield from studio.part(found, "", partial(_load, studio, found, model.loaded), model.loaded))


def _fitting(studio: Studio, adapter: FoundModel, sight: Sight) -> Iterator[FoundModel]:
    there = [model for model in studio.library.models if model.kind is ModelKind.IMAGE_ENCODER]
    beside = {adapter.path.parent, adapter.path.parent.parent}
    for found in sorted(there, key=lambda model: model.path.parent not in beside):
        if found.problem is None and _width(found, is_detailed=sight.is_detailed) == sight.width:
            yield found


def _width(found: FoundModel, *, is_detailed: bool) -> object:
    try:
        config = read_json(found.path / "config.json") if found.is_folder else vision_config(found.path)
        return config.get("hidden_size" if is_detailed else "projection_dim")
    except (OSError, ValueError):
        return None


def _load(studio: Studio, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, ReadyEncoder]:
    quieten()
    try:
        if found.is_folder:
            load = partial(load_module, class_of(_PART), found.path, model.dtype, model.home, part=_PART.name)
        else:
            config = vision_config(found.path)
            tensors = yield Call(partial(read_tensors, found.path, (), model.dtype), Where.POOL, "load")
            load = partial(build_vision, config, tensors, model.home)
        encoder = yield Call(load, stage="load")
    except READ_ERRORS as error:
        let_go(error)
        raise ModelUnusable(found.name, explain(error, found.path)) from None
    from transformers import CLIPImageProcessor

    placement = yield from studio.take_in({_PART.name: encoder}, model)
    side = encoder.config.image_size
    processor: Any = CLIPImageProcessor
    return ReadyEncoder(encoder=encoder, placement=placement, processor=processor(size=side, crop_size=side))
