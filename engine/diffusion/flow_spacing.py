"""Noise levels for flow-matching samplers, which shift them by the size of the picture or by a constant."""

from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_heun_discrete import FlowMatchHeunDiscreteScheduler

from engine.diffusion.noise_levels import Levels
from engine.diffusion.spacing import Form, LevelMaker, place


class SpacedFlow:
    """Mixed in before a stock flow sampler: takes what pipelines say of sigmas and shift, and `levels` if that is set.

    Attributes:
        ruler: a stock Euler of the same model; makes the levels if `levels` does not.
        levels: our noise schedule, over the sigmas 1/T, 2/T ... 1, shifted like the model's own.
    """

    ruler: FlowMatchEulerDiscreteScheduler
    levels: LevelMaker | None = None
    form: Form = Form.SIGMAS

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """Same contract as `FlowMatchEulerDiscreteScheduler.set_timesteps`."""
        scheduler: Any = self
        ruler: Any = self.ruler
        ruler.set_timesteps(num_inference_steps, device, sigmas=sigmas, mu=mu, timesteps=timesteps)
        steps = len(ruler.timesteps)
        found: Levels = ruler.sigmas.to("cpu", torch.float64).numpy()
        if self.levels is not None:
            found = self.levels(self._table(mu), steps)
        scheduler.num_inference_steps = steps
        scheduler._step_index = scheduler._begin_index = None
        scheduler.prev_derivative = scheduler.dt = None  # of Heun: the first half of a step that was never ended
        place(scheduler, found, found[:-1] * ruler.config.num_train_timesteps, self.form, device)

    def _table(self, mu: float | None) -> Levels:
        ruler: Any = self.ruler
        count = ruler.config.num_train_timesteps
        even = np.arange(1, count + 1, dtype=np.float64) / count
        if ruler.config.use_dynamic_shifting:
            shifted: Levels = ruler.time_shift(mu, 1.0, even)
            return shifted
        shift = float(ruler.shift)
        fixed: Levels = shift * even / (1 + (shift - 1) * even)
        return fixed


class SpacedFlowEuler(SpacedFlow, FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]  # diffusers' own bases differ
    """Euler for flow-matching models, over levels of our choice."""


class SpacedFlowHeun(SpacedFlow, FlowMatchHeunDiscreteScheduler):  # type: ignore[misc]  # diffusers' own bases differ
    """Heun for flow-matching models; the stock one takes neither sigmas nor a shift by size."""

    form = Form.PAIRS
