"""What jobs over tiny models ask for: embeds instead of prompts, 8 latents by 8."""

from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from tests.unit.engine.diffusion.tiny_pipelines import Job


def text(seed: int, *, steps: int = 4, guidance: float = 5.0, width: int = 16, **more: Any) -> dict[str, Any]:
    """Options of a job that starts from noise; without guidance there is one row instead of two."""
    negative = {"negative_prompt_embeds": embeds(-seed - 1, width=width)} if guidance > 1 else {}
    prompt = {"prompt_embeds": embeds(seed, width=width), **negative}
    return {"num_inference_steps": steps, "guidance_scale": guidance, "height": 64, "width": 64} | prompt | more


def image(seed: int, **more: Any) -> dict[str, Any]:
    options = text(seed, **more)
    del options["height"], options["width"]
    return {"image": picture(seed), "strength": 0.8, **options}


def text_job(name: str, seed: int, **more: Any) -> Job:
    job = {key: more.pop(key) for key in ("scheduler", "scope", "after") if key in more}
    return Job(name, StableDiffusionPipeline, text(seed, **more), seed=seed, **job)


def embeds(seed: int, *, width: int = 16, tokens: int = 77) -> Tensor:
    """What a text encoder would have made, about: (1, tokens, width)."""
    return torch.randn(1, tokens, width, generator=torch.Generator().manual_seed(1000 + seed))


def picture(seed: int, side_px: int = 64) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(2000 + seed))


def mask(side_px: int = 64) -> Tensor:
    """(1, 1, H, W); 1 repaints: the right half."""
    made = torch.zeros(1, 1, side_px, side_px)
    made[..., side_px // 2 :] = 1
    return made
