"""Stock diffusers, as its own documentation uses it: the reference for whatever makes pictures."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


def stock_pipeline(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """The pipeline a folder was saved as, with its own scheduler, from the disk to the device."""
    from diffusers import DiffusionPipeline

    anything: Any = DiffusionPipeline
    pipeline = anything.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_files(pipeline: Any, prompts: Sequence[str], seeds: Sequence[int], **options: Any) -> list[bytes]:
    """One PNG for each prompt, made as one batch.

    Args:
        seeds: one for each prompt.
        options: of the pipeline's call.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    images = pipeline(list(prompts), generator=generators, **options).images
    return [_png(image) for image in images]


def step_times(pipeline: Any, prompt: str, **options: Any) -> list[float]:
    """When each step of one picture was done, in seconds of the performance counter. The picture is thrown away."""
    at: list[float] = []

    def on_step(_pipeline: Any, _step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        at.append(time.perf_counter())
        return {}

    generator = torch.Generator().manual_seed(0)
    pipeline(prompt, generator=generator, callback_on_step_end=on_step, output_type="latent", **options)
    return at


@contextmanager
def without_forwards() -> Iterator[None]:
    """Within it a denoiser costs nothing: whatever else a step does is left."""
    from functools import wraps
    from unittest.mock import patch

    from diffusers import UNet2DConditionModel

    original: Callable[..., Any] = UNet2DConditionModel.forward

    @wraps(original)
    def nothing(_module: Any, sample: torch.Tensor, *_args: Any, **_kwargs: Any) -> tuple[torch.Tensor]:
        return (torch.zeros_like(sample),)

    with patch.object(UNet2DConditionModel, "forward", nothing):
        yield


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
