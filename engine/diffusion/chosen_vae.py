"""A VAE that a job asked for, to stand in for the one its model was saved with."""

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.diffusion.families import ModelDefaults
from engine.diffusion.interception import intercept_components
from engine.diffusion.loaded import LoadedModel, module_bytes
from engine.diffusion.previews import Previewer, previewer_for
from engine.diffusion.studio import ReadyModel, Studio, resident_name
from engine.diffusion.vae_files import vae_loading
from engine.interface import Call, EngineError
from engine.library.records import FoundModel
from protocol.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyVae:
    """A VAE in memory and the previews of its latents.

    Attributes:
        name: of it among everything in memory.
    """

    name: str
    vae: Any
    previewer: Previewer


@dataclass(frozen=True, slots=True)
class _Previewed:
    """What the previews of a model have to know, for a VAE that is not its own."""

    vae: Any
    defaults: ModelDefaults


def choose_vae(studio: Studio, found: FoundModel, model: ReadyModel) -> Generator[Call, Any, ReadyVae]:
    """The VAE in memory, loaded if it is not. Use with `yield from`.

    Raises:
        EngineError: `bad_model`: it cannot be loaded; `invalid_params`: it is made for other latents than the model's.
    """
    if model.loaded.components.get("vae") is None:
        raise EngineError(ErrorCode.INVALID_PARAMS, f"vae: {model.found.name!r} works without one at $.params.vae")
    name = _name(found, model.loaded)
    load = partial(_load, studio, found, model.loaded, name)
    made = yield from studio.part(found, name, load, lambda ready: module_bytes(ready.vae))
    if _scale(made.vae) != _scale(model.loaded.vae):
        message = (
            f"vae: a latent of {found.name!r} is {_scale(made.vae)} pixels wide, and one of {model.found.name!r} "
            f"{_scale(model.loaded.vae)} at $.params.vae"
        )
        raise EngineError(ErrorCode.INVALID_PARAMS, message)
    return made


def _load(studio: Studio, found: FoundModel, model: LoadedModel, name: str) -> Generator[Call, Any, ReadyVae]:
    vae = yield from vae_loading(found, model)
    intercept_components({"vae": vae}, wait=studio.device.wait)
    previewer = yield from previewer_for(_Previewed(vae, model.defaults), studio.cache_dir)
    return ReadyVae(name=name, vae=vae, previewer=previewer)


def _name(found: FoundModel, model: LoadedModel) -> str:
    """A file holds weights alone and is built like the model's own, so it is another VAE for another sort of model."""
    name = resident_name(found)
    if found.is_folder:
        return name
    config = json.dumps(dict(model.vae.config), sort_keys=True, default=str)
    return f"{name} {hashlib.sha256(f'{config} {model.dtype}'.encode()).hexdigest()[:8]}"


def _scale(vae: Any) -> int:
    """Pixels per latent."""
    scale: int = 2 ** (len(vae.config.block_out_channels) - 1)
    return scale
