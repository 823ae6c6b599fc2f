"""Precision of a VAE, and VAE files that stand in for a model's own."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def vae_dtype(config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """What a VAE of this configuration is kept in, in a model of `dtype`.

    One that says `force_upcast` (SDXL's first of all) overflows in float16 and is kept in float32.
    """
    return torch.float32 if dtype is torch.float16 and config.get("force_upcast", False) else dtype


def share_vae(vae: Any) -> None:
    """Have a VAE marked `force_upcast` take latents and pictures of another precision than its own, and stay as it is.

    The stock pipelines would turn a VAE marked `force_upcast` to float32 and back around each use; but jobs
    share it.
    """
    if not vae.config.get("force_upcast", False):
        return
    vae.register_to_config(force_upcast=False)
    for entrance in (vae.encoder, vae.decoder, getattr(vae, "post_quant_conv", None)):
        if entrance is not None:
            entrance.register_forward_pre_hook(_to_own_precision)


def _to_own_precision(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    own = next(module.parameters()).dtype
    return tuple(value.to(own) if isinstance(value, Tensor) and value.is_floating_point() else value for value in given)
