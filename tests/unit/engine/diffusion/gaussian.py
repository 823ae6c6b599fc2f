"""A model with a known answer: latents whose every value is drawn from one Gaussian, and the exact denoiser for them.

The noise-free path from latents at sigma to clean ones has a closed form, so a solver can be held to it.
"""

import inspect
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.spacing import training_sigmas

MEAN: Final = 0.3
SPREAD: Final = 0.7

SD1_CONFIG: Final[dict[str, Any]] = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "clip_sample": False,
}
"""As SD 1.5 ships it."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """One run.

    Attributes:
        latents: what came out.
        exact: where the noise-free path from the same start ends.
    """

    latents: Tensor
    exact: Tensor


def predict(latents: Tensor, sigma: float, kind: str) -> Tensor:
    """The exact model output for latents with variance kept at 1 ("VP"), as a UNet is shown them."""
    alpha = 1 / math.sqrt(1 + sigma**2)
    plain = latents / alpha
    clean = (SPREAD**2 * plain + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)
    epsilon = (plain - clean) / sigma
    return {"epsilon": epsilon, "v_prediction": alpha * (epsilon - sigma * clean), "sample": clean}[kind]


def sample(
    scheduler: Any, steps: int = 10, *, seed: int = 0, size: int = 16, skip: int = 0, eta: float | None = None
) -> Sampled:
    """Run a scheduler over the exact model, as a pipeline does; `skip` steps in, as image-to-image does."""
    generator = torch.Generator().manual_seed(seed)
    table = training_sigmas(scheduler)
    scheduler.set_timesteps(steps)
    kind = scheduler.config.prediction_type
    accepted = inspect.signature(scheduler.step).parameters
    extra: dict[str, Any] = {"generator": generator} if "generator" in accepted else {}
    if "eta" in accepted and eta is not None:
        extra["eta"] = eta
    noise = torch.randn(1, 4, size, size, generator=generator)
    timesteps = scheduler.timesteps[skip * scheduler.order :]
    latents = noise * scheduler.init_noise_sigma
    if skip:
        if hasattr(scheduler, "set_begin_index"):  # as pipelines do
            scheduler.set_begin_index(skip * scheduler.order)
        clean = MEAN + SPREAD * torch.randn(1, 4, size, size, generator=generator)
        latents = scheduler.add_noise(clean, noise, timesteps[:1])
    exact = torch.empty(0)
    for timestep in timesteps:
        shown = scheduler.scale_model_input(latents, timestep)
        sigma = math.exp(np.interp(float(timestep), np.arange(len(table)), np.log(table)))
        if not exact.numel():
            plain = shown * math.sqrt(1 + sigma**2)
            exact = MEAN + (plain - MEAN) * SPREAD / math.sqrt(SPREAD**2 + sigma**2)
        latents = scheduler.step(predict(shown, sigma, kind), timestep, latents, return_dict=False, **extra)[0]
    return Sampled(latents=latents, exact=exact)
