"""Tiny VAEs in memory: which one decodes a model's latents for its previews, and how it is read.

    where it lies                             read as
    ----------------------------------------  ------------------------------------------------------------
    a folder inside the model's own           `AutoencoderTiny` of diffusers; it belongs to that model
    the library, as a folder                  likewise; for the family its name says
    the library, as a file (`vae_approx`)     TAESD's decoder, whose modules are counted from its clamp on:
                                              `3.conv.0.weight` is `decoder.layers.2.conv.0.weight`

Source: TAESD by Ollin Boer Bohan (`taesd.py`); diffusers builds the same modules, without one for the clamp.
"""

import math
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from torch import nn

from engine.diffusion.folders import INDEX, Part, class_of, load_module, read_json
from engine.diffusion.latent_decoders import places_px
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.unusable import READ_ERRORS, explain, let_go
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.interface import Call, Where
from engine.library.records import FoundModel
from engine.library.tiny_vaes import family_of, tiny_vae_for

logger = structlog.get_logger(__name__)

_STAGE: Final = "load"
_PART: Final = "preview decoder"
_CLASS: Final = "AutoencoderTiny"
_SCALING: Final[Mapping[str, float]] = {"sd1": 0.18215, "sdxl": 0.13025, "sd3": 1.5305, "flux": 0.3611}
"""Of the VAE that each published tiny one stands in for: latents of another scale are another model's."""
_DECODER_NAMES: Final = re.compile(r"^(?:taesd_decoder\.)?(?P<module>\d+)\.(?P<rest>.+)$")
_DIFFUSERS_NAMES: Final = "decoder."
_LATENTS_ENTER: Final = "decoder.layers.0.weight"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a tiny VAE lies."""

    name: str
    path: Path


def tiny_vae_loading(
    models: Iterable[FoundModel], model: LoadedModel, folder: Path | None
) -> Generator[Call, Any, Any | None]:
    """The tiny VAE for a model's previews, on its device; None if there is none. Use with `yield from`.

    One that cannot be read, or is made for other latents, is logged and left out: the model works without.

    Args:
        models: all that were found.
        folder: the model's own, if it is a folder.
    """
    if model.components.get("vae") is None:
        return None
    source = None if folder is None else (yield Call(partial(_inside, folder), Where.POOL, _STAGE))
    if source is None:
        found = tiny_vae_for(models, model.family)
        if found is None or not _has_published_latents(found, model):
            return None
        source = _Source(found.name, found.path)
    try:
        if source.path.is_dir():
            tiny = yield Call(partial(_from_folder, source.path, model), stage=_STAGE)
        else:
            tensors = yield Call(partial(_read, source.path, model), Where.POOL, _STAGE)
            tiny = yield Call(partial(_build, tensors, model), stage=_STAGE)
            del tensors
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, source.path)
    else:
        # Half as fast again on a CPU, for convolutions as narrow as these.
        return tiny.to(memory_format=torch.channels_last)
    logger.warning("preview.decoder_unusable", model=model.name, decoder=source.name, problem=problem)
    return None


def _inside(folder: Path) -> _Source | None:
    """The tiny VAE in a model's folder that is none of its components."""
    try:
        components = read_json(folder / INDEX).keys()
        for config in sorted(folder.glob("*/config.json")):
            if config.parent.name not in components and read_json(config).get("_class_name") == _CLASS:
                return _Source(config.parent.name, config.parent)
    except (OSError, ValueError):
        return None  # loading the model says what is wrong with it
    return None


def _has_published_latents(found: FoundModel, model: LoadedModel) -> bool:
    """Whether the model's VAE has the scale of those that the tiny one's name promises; a VAE of its own has not."""
    scaling = float(model.vae.config.get("scaling_factor") or 1.0)
    return math.isclose(scaling, _SCALING[family_of(found.relative)])


def _from_folder(place: Path, model: LoadedModel) -> Any:
    config = read_json(place / "config.json")
    if config.get("_class_name") != _CLASS:
        raise ValueError(f"it is of the class {config.get('_class_name')}, not {_CLASS}")
    tiny = load_module(class_of(Part("vae", "diffusers", _CLASS)), place, model.dtype, model.device, part=_PART)
    _check_latents(tiny.config.latent_channels, places_px(tiny.config), model)
    return tiny


def _read(path: Path, model: LoadedModel) -> Tensors:
    return renamed_decoder(read_tensors(path, (), model.dtype))


def renamed_decoder(tensors: Tensors) -> Tensors:
    """The tensors of TAESD's decoder in the names of diffusers; what is of the encoder is left out.

    Args:
        tensors: in the names of diffusers or of TAESD, the latter also with ComfyUI's prefix.
    """
    if _LATENTS_ENTER in tensors:
        return {name: tensor for name, tensor in tensors.items() if name.startswith(_DIFFUSERS_NAMES)}
    renamed = {}
    for name, tensor in tensors.items():
        if match := _DECODER_NAMES.match(name):
            renamed[f"decoder.layers.{int(match['module']) - 1}.{match['rest']}"] = tensor
    return renamed


def _build(tensors: Tensors, model: LoadedModel) -> Any:
    from accelerate import init_empty_weights

    if _LATENTS_ENTER not in tensors:
        raise ValueError("it holds no decoder of a tiny VAE")
    channels = tensors[_LATENTS_ENTER].shape[1]
    with init_empty_weights():
        tiny = class_of(Part("vae", "diffusers", _CLASS)).from_config({"latent_channels": channels})
    _check_latents(channels, places_px(tiny.config), model)
    # The file holds the other half alone, and previews need no more.
    tiny.encoder = nn.Identity()
    fill(tiny, tensors, part=_PART)
    return tiny.to(model.device)


def _check_latents(channels: int, px: int, model: LoadedModel) -> None:
    config = model.vae.config
    wanted = (config["latent_channels"], places_px(config))
    if (channels, px) != wanted:
        raise ValueError(
            f"its latents have {channels} channels and places of {px} px, the model's {wanted[0]} and {wanted[1]} px"
        )
