"""What a request gets that leaves a parameter out, told from a model's configurations before it is loaded. No torch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.diffusion.families import FAMILIES, ModelDefaults, config_folder
from engine.diffusion.saved_defaults import with_saved
from engine.diffusion.sizes import Size
from engine.library.records import Family, FoundModel, ModelKind

_DENOISERS: Final = ("unet", "transformer")


def known_defaults(found: FoundModel) -> ModelDefaults | None:
    """The defaults of a checkpoint, as they will be once it is loaded; None if they cannot be told before.

    Reads a few small files; on any thread. Never raises for what it finds there.
    """
    if found.kind is not ModelKind.CHECKPOINT or found.problem is not None or found.family not in FAMILIES:
        return None
    configs = found.path if found.is_folder else config_folder(found.family, found.prediction)
    if configs is None:
        return None
    try:
        denoiser = next((config for name in _DENOISERS if (config := _read(configs / name))), {})
        defaults = defaults_from(found.family, denoiser, _read(configs / "vae"), is_saved_scheduler=found.is_folder)
        return with_saved(defaults, found.path) if found.is_folder else defaults
    except (OSError, ValueError, RecursionError):  # loading it says what is wrong
        return None


def defaults_from(
    family: Family, denoiser: Mapping[str, Any], vae: Mapping[str, Any], *, is_saved_scheduler: bool
) -> ModelDefaults:
    """The defaults of a model with these configurations.

    Args:
        denoiser, vae: as they lie in `config.json`; empty where there is none.
        is_saved_scheduler: whether the model came with a scheduler of its own.
    """
    channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or ()
    defaults = FAMILIES[family].defaults(
        vae_scale=2 ** (len(channels) - 1) if channels else 8,
        sample_size=denoiser.get("sample_size"),
        is_saved_scheduler=is_saved_scheduler,
    )
    if family is Family.FLUX and not denoiser.get("guidance_embeds"):
        # Distilled to a few steps, without guidance.
        return replace(defaults, steps=4, guidance_scale=0.0)
    return defaults


def shown_size(defaults: ModelDefaults) -> Size:
    """Of a picture nobody gave a size for."""
    if defaults.show_px is None:
        return Size(defaults.width, defaults.height)
    scale = max(1.0, defaults.show_px / min(defaults.width, defaults.height))
    return Size(round(defaults.width * scale), round(defaults.height * scale))


def _read(folder: Path) -> Mapping[str, Any]:
    try:
        parsed = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
