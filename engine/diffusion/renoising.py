"""Noise laid anew over a picture that another model made so far, and the levels to take it off again."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from engine.diffusion.schedulers import Scheduler
from engine.diffusion.spacing import LevelMaker, Spaced, training_sigmas

NOISE_OVER: Final = 1.4
"""What the levels that were left are multiplied by, to cover what decoding and encoding lose. Source: Fooocus."""


def renoised(
    make: Callable[[LevelMaker | None], Scheduler], steps: int, left: int
) -> tuple[Scheduler, Mapping[str, Any]]:
    """A scheduler for the last `left` of `steps` steps, at levels `NOISE_OVER` times as high.

    Args:
        make: a scheduler with such levels, if it takes any, or its own.

    Returns:
        It, and what a pipeline that starts from a picture is given for it. A sampler that cannot take other levels
        makes the last steps at its own.
    """
    own = make(None)
    own.set_timesteps(steps)
    table = training_sigmas(own)
    timesteps = np.asarray([float(timestep) for timestep in own.timesteps])[:: own.order][-left:]
    sigmas = np.exp(np.interp(timesteps, np.arange(len(table)), np.log(table)))
    levels = np.append(NOISE_OVER * sigmas, 0.0)
    scheduler = make(lambda _table, _steps: levels.copy())
    if isinstance(scheduler, Spaced) and scheduler.levels is not None:
        return scheduler, {"num_inference_steps": left, "strength": 1.0}
    return scheduler, {"num_inference_steps": steps, "strength": min(1.0, (left + 0.5) / steps)}
