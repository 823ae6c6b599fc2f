"""What a model makes of a guidance scale."""

from typing import Any

from engine.diffusion.loaded import LoadedModel


def embeds_guidance(model: LoadedModel) -> bool:
    """Whether the denoiser was distilled to be told the guidance scale, as Flux dev and LCMs.

    It then needs no second forward for a negative prompt, and has no use for one.
    """
    config: Any = model.denoiser.config
    return bool(config.get("guidance_embeds")) or config.get("time_cond_proj_dim") is not None
