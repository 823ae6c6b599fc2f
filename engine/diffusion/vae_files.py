"""VAEs of their own, as files and as folders, to stand in for the one a model was saved with."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, Final

import torch

from engine.diffusion.folder_modules import module_loading
from engine.diffusion.folders import Part, class_of, read_json
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.single_files import renamed_vae
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.vaes import share_vae, vae_dtype
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.interface import Call, EngineError, Where
from engine.library.records import STABLE_1, Family, FoundModel
from protocol.errors import ErrorCode

_STAGE: Final = "load"
_STABLE: Final = frozenset({*STABLE_1, Family.SD2, Family.SD2_INPAINT})
_XL: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT, Family.SDXL_REFINER})
_UNTOLD: Final = frozenset({Family.OTHER, Family.UNKNOWN})
_LAYOUT_MARK: Final = "encoder.down.0.block.0.norm1.weight"
"""A name that the training programs' layout has and diffusers' has not."""


def vae_loading(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    """Load a VAE to use with `model`, in calls: an `AutoencoderKL` on the model's device. Use with `yield from`.

    A single file holds weights alone: they are put into a VAE built like the model's own, in the layout of diffusers
    or of the training programs. Give it to `LoadedModel.pipeline` as `vae`.

    Raises:
        ModelUnusable: it is corrupt, incomplete or no VAE.
        EngineError: `invalid_params`; it is made for another family's latents.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    check_family(found, model)
    quieten()
    try:
        if found.is_folder:
            vae = yield from _from_folder(found, model)
        else:
            # The model's own has forgotten what it was marked with; see `share_vae`.
            config = dict(model.vae.config) | {"force_upcast": _is_wide(model)}
            dtype = vae_dtype(config, model.dtype)
            tensors = yield Call(partial(_read, found, dtype), where=Where.POOL, stage=_STAGE)
            vae = yield Call(partial(_build, config, tensors, model.home), stage=_STAGE)
            del tensors
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    else:
        if vae.config.latent_channels == model.vae.config.latent_channels:
            return vae
        problem = (
            f"its latents have {vae.config.latent_channels} channels, the model's {model.vae.config.latent_channels}"
        )
    raise ModelUnusable(found.name, problem)


def check_family(found: FoundModel, model: LoadedModel) -> None:
    """Raises EngineError: `invalid_params`; the VAE is made for another family's latents."""
    if not _fits(found.family, model.family):
        message = f"vae: {found.name!r} is made for {found.family}, and {model.name!r} is of the family {model.family}"
        raise EngineError(ErrorCode.INVALID_PARAMS, message)


def _fits(vae: Family, model: Family) -> bool:
    if vae in _UNTOLD or model in _UNTOLD:
        return True
    return any(vae in latents and model in latents for latents in (_STABLE, _XL, frozenset({vae})))


def _is_wide(model: LoadedModel) -> bool:
    """Whether the model's own VAE is kept in a wider precision than the model."""
    return next(model.vae.parameters()).dtype is torch.float32 and model.dtype is not torch.float32


def _from_folder(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    config = read_json(found.path / "config.json")
    part = Part("vae", "diffusers", str(config.get("_class_name", "AutoencoderKL")))
    dtype = vae_dtype(config, model.dtype)
    return (yield from module_loading(class_of(part), found.path, dtype, model.home, part="vae"))


def _read(found: FoundModel, dtype: torch.dtype) -> Tensors:
    tensors = read_tensors(found.path, (), dtype)
    prefix = next((known for known in ("first_stage_model.", "vae.") if any(n.startswith(known) for n in tensors)), "")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _build(config: Mapping[str, Any], tensors: Tensors, device: torch.device) -> Any:
    from accelerate import init_empty_weights

    with init_empty_weights():
        vae = class_of(Part("vae", "diffusers", "AutoencoderKL")).from_config(config)
    fill(vae, renamed_vae(config, tensors) if _LAYOUT_MARK in tensors else tensors, part="vae")
    share_vae(vae)
    return vae.to(device)
