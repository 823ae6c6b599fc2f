"""Puts noise levels of our choice in the place of a scheduler's own, whatever pipeline calls it.

Pipelines know only `set_timesteps(steps)`; few of them pass sigmas on, and few schedulers would take them. So the
scheduler itself, a subclass of the stock one, looks the levels up when its timesteps are set.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import cache
from typing import Any

import numpy as np
import torch

from engine.diffusion.noise_levels import Levels, timesteps_at, whole_timesteps

LevelMaker = Callable[[Levels, int], Levels]
"""(the model's table of sigmas, rising; number of steps) -> levels, falling; the last is 0."""


class Form(Enum):
    """How a scheduler holds its levels."""

    SIGMAS = auto()
    """One sigma and one timestep a step, and the last sigma."""
    PAIRS = auto()
    """As diffusers' Heun: every level but the first and the last twice."""
    TIMESTEPS = auto()
    """Whole timesteps of the training table alone."""


class Spaced:
    """Mixed in before a stock scheduler that was trained on betas: its levels come from `levels`, if that is set.

    Attributes:
        levels: what makes them.
        form: how the scheduler holds them.
        last_level: stands for the 0 at the end, for solvers that divide by the last sigma or take its logarithm.
    """

    levels: LevelMaker | None = None
    form: Form = Form.SIGMAS
    last_level: float = 0.0

    def set_timesteps(
        self, num_inference_steps: int | None = None, device: str | torch.device | None = None, *rest: Any, **named: Any
    ) -> None:
        scheduler: Any = self
        stock: Any = super()
        if hasattr(scheduler.config, "original_inference_steps") and num_inference_steps is not None:
            # Distilled models take their steps out of a short list; one that is too short is an error in diffusers.
            named.setdefault(
                "original_inference_steps", max(num_inference_steps, scheduler.config.original_inference_steps)
            )
        stock.set_timesteps(num_inference_steps, device, *rest, **named)
        if self.levels is None or num_inference_steps is None:
            return
        table = training_sigmas(scheduler)
        levels = self.levels(table, num_inference_steps)
        if self.form is Form.TIMESTEPS:
            scheduler.timesteps = torch.from_numpy(whole_timesteps(levels[:-1], table)).to(device)
            scheduler.num_inference_steps = num_inference_steps
            scheduler.custom_timesteps = True
            return
        timesteps = timesteps_at(levels[:-1], table)
        levels[-1] = self.last_level
        place(scheduler, levels, timesteps, self.form, device)


def training_sigmas(scheduler: Any) -> Levels:
    """The (T,) sigmas a scheduler's model was trained on, rising, float64."""
    alphas = scheduler.alphas_cumprod.to("cpu", torch.float64).numpy()
    sigmas: Levels = np.sqrt((1 - alphas) / alphas)
    return sigmas


def place(
    scheduler: Any, levels: Levels, timesteps: Levels, form: Form, device: str | torch.device | None = None
) -> None:
    """Overwrite the sigmas and timesteps of a scheduler.

    Args:
        levels: (n + 1,) sigmas.
        timesteps: (n,) what the model is told at each but the last.
    """
    sigmas = torch.from_numpy(levels.astype(np.float32))  # stays on the CPU, as in diffusers: it is read every step
    times = torch.from_numpy(timesteps.astype(np.float32))
    if form is Form.PAIRS:
        sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])
        times = torch.cat([times[:1], times[1:].repeat_interleave(2)])
    scheduler.sigmas = sigmas
    scheduler.timesteps = times.to(device)


@cache  # one class each, not one per job: classes are only freed by the garbage collector
def spaced(base: type[Any], form: Form, last_level: float = 0.0) -> type[Any]:
    """The subclass of the stock scheduler `base` that takes its levels from `levels`."""
    return type(f"Spaced{base.__name__}", (Spaced, base), {"form": form, "last_level": last_level})
