"""A VAE that a job asked for, to stand in for the one its model was saved with."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.diffusion.families import ModelDefaults
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.offload import Placement
from engine.diffusion.parts import variant_of
from engine.diffusion.previews import Previewer, previewer_for
from engine.diffusion.studio import ReadyModel, Studio
from engine.diffusion.vae_files import check_family, vae_loading
from engine.interface import Call, EngineError
from engine.library.records import FoundModel
from protocol.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyVae:
    """A VAE in memory, where its weights are, and the previews of its latents."""

    vae: Any
    placement: Placement
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
    # It may be in memory for another model.
    check_family(found, model.loaded)
    variant = variant_of(found, model.loaded.vae.config, model.loaded.dtype)
    made = yield from studio.part(found, variant, partial(_load, studio, found, model.loaded), model.loaded)
    if _latents(made.vae) != _latents(model.loaded.vae):
        message = (
            f"vae: {found.name!r} has latents of {_latents(made.vae)}, "
            f"and {model.found.name!r} of {_latents(model.loaded.vae)} at $.params.vae"
        )
        raise EngineError(ErrorCode.INVALID_PARAMS, message)
    return made


def _load(studio: Studio, found: FoundModel, model: LoadedModel) -> Generator[Call, Any, ReadyVae]:
    vae = yield from vae_loading(found, model)
    placement = yield from studio.take_in({"vae": vae}, model)
    previewer = yield from previewer_for(
        _Previewed(vae, model.defaults), studio.cache_dir, may_use_vae=placement.is_there
    )
    return ReadyVae(vae=vae, placement=placement, previewer=previewer)


def _latents(vae: Any) -> str:
    """What has to be the same for one VAE to stand in for another."""
    return f"{vae.config.latent_channels} channels and {2 ** (len(vae.config.block_out_channels) - 1)} pixels"
