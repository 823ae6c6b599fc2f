"""Prompts to pictures through the stock pipeline, the way users will run the exported folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.spark import tokenizer, unet
from training.spark.decoder import best_vae
from training.spark.stock import StableDiffusionPipeline

GUIDANCE_SCALE = 2.5
STEPS = 20
_AT_ONCE = 10


def assemble(work_dir: Path, checkpoint: str = "unet.pt") -> Any:
    """The pipeline of a work folder, in fp32 on the CPU."""
    modules = unet.trained(work_dir, checkpoint)
    return StableDiffusionPipeline(
        vae=best_vae(work_dir),
        text_encoder=modules["text_encoder"],
        tokenizer=tokenizer.build(),
        unet=modules["unet"],
        scheduler=unet.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def load_folder(folder: Path) -> Any:
    """The pipeline of an exported folder, its fp16 weights computed with in fp32."""
    return StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


@torch.no_grad()
def generate(
    pipeline: Any,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
) -> torch.Tensor:
    """One picture per prompt: (N, 3, 64, 64) float32, RGB in [0, 1]. The same seed gives the same picture."""
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for first in range(0, len(prompts), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds[some]]
        answer = pipeline(
            list(prompts[some]),
            num_inference_steps=steps,
            guidance_scale=GUIDANCE_SCALE,
            generator=generators,
            output_type="pt",
        )
        pictures.append(answer.images.float().cpu())
    return torch.cat(pictures)
