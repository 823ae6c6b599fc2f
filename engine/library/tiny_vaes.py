"""Tiny VAEs by their published names: which family's latents each decodes, and which of those there are fits a model.

    name        latents of
    ----------  --------------------------------------
    `taesd`     SD 1, SD 2 and their inpainting forms
    `taesdxl`   SDXL, its inpainting form, its refiner
    `taesd3`    SD 3
    `taef1`     Flux

They come as folders of diffusers (`AutoencoderTiny`) or as one file for each half, `taesd_decoder.pth` and
`taesd_encoder.pth`, as ComfyUI keeps them in `vae_approx`. Their tensors do not tell the family, so the name has to.

Source: the TAESD repository of Ollin Boer Bohan, and the names ComfyUI looks for.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from engine.library.records import STABLE_1, Family, FoundModel, ModelKind

_FAMILIES: Final[Mapping[str, tuple[Family, ...]]] = {
    "taesd": (*STABLE_1, Family.SD2, Family.SD2_INPAINT),
    "taesdxl": (Family.SDXL, Family.SDXL_INPAINT, Family.SDXL_REFINER),
    "taesd3": (Family.SD3,),
    "taef1": (Family.FLUX,),
}
_HALF: Final = "_decoder"


def family_of(relative: str) -> Family:
    """The first family whose latents a tiny VAE of this name decodes; unknown if it has none of the names.

    Args:
        relative: its path with slashes, or its name, without extension.
    """
    return next(iter(_families_of(relative)), Family.UNKNOWN)


def tiny_vae_for(models: Iterable[FoundModel], family: Family) -> FoundModel | None:
    """Of all there is, the tiny VAE for the latents of `family`; folders first, then safetensors. None without one."""
    fitting = [
        model
        for model in models
        if model.problem is None
        and (model.kind is ModelKind.PREVIEW_DECODER or (model.kind is ModelKind.VAE and model.is_folder))
        and family in _families_of(model.relative)
    ]
    return min(fitting, key=lambda model: (not model.is_folder, model.is_pickle, model.name), default=None)


def _families_of(relative: str) -> tuple[Family, ...]:
    name = PurePosixPath(relative).name.casefold().removesuffix(_HALF)
    return _FAMILIES.get(name, ())
