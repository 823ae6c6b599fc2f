"""What our own solvers share: a diffusers scheduler that steps in sigma, with one or two model calls a step.

Latents are clean latents plus sigma times unit noise, as in diffusers' Euler, whose bookkeeping is inherited. A solver
that calls the model twice a step gets two timesteps a step, but for a last step down to 0, which is one Euler step.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler, EulerDiscreteSchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from engine.diffusion.noise_levels import timesteps_at
from engine.diffusion.spacing import Form, Spaced, place, training_sigmas

Generators: TypeAlias = torch.Generator | list[torch.Generator] | None
Output: TypeAlias = EulerDiscreteSchedulerOutput | tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Rung:
    """From one noise level to the next.

    Attributes:
        sigma, following: the levels.
        middle: where the second model call of the step is made; `following` if there is none.
    """

    sigma: float
    following: float
    middle: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What a solver has to go on with after a model call.

    Attributes:
        sigma, following, middle: see `Rung`.
        latents: what the model was shown, before scaling; float32.
        clean: what the model makes of it without noise.
        start: the latents at the start of the step, if this is its second call.
        noise: draws unit noise of the shape of the latents from the job's generator.
    """

    sigma: float
    following: float
    middle: float
    latents: Tensor
    clean: Tensor
    start: Tensor
    noise: Callable[[], Tensor]


class SigmaSolver(Spaced, EulerDiscreteScheduler):  # type: ignore[misc]  # diffusers' own bases differ in a class field
    """What the solvers share: the rungs, the predicted clean latents, and noise from the job's own generator."""

    order: int = 1
    """Model calls a step; diffusers' word for it, by which pipelines skip steps for image-to-image."""
    config: Any
    _step_index: Any

    def set_timesteps(
        self, num_inference_steps: int | None = None, device: str | torch.device | None = None, *rest: Any, **named: Any
    ) -> None:
        super().set_timesteps(num_inference_steps, device, *rest, **named)
        levels = [float(sigma) for sigma in self.sigmas]
        self._rungs = [
            Rung(sigma, following, self.middle(sigma, following) if self.order == 2 and following > 0 else following)
            for sigma, following in itertools.pairwise(levels)
        ]
        if self.order == 2:
            visited = np.array(
                [
                    level
                    for rung in self._rungs
                    for level in ([rung.sigma, rung.middle] if rung.following > 0 else [rung.sigma])
                ]
            )
            timesteps = timesteps_at(visited, training_sigmas(self))
            place(self, np.append(visited, levels[-1]), timesteps, Form.SIGMAS, device)
        self.forget()

    def forget(self) -> None:
        """Drop what was kept of earlier steps."""
        self._start: Tensor | None = None

    def middle(self, sigma: float, following: float) -> float:
        """Where the second call of a step is made: half-way in the logarithm, unless a solver says otherwise."""
        return math.sqrt(sigma * following)

    def step(  # type: ignore[override]  # Euler's churn is not for these
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> Output:
        """One model call on: to the middle of a step, or to its end. Same contract as diffusers' `step`."""
        if self._step_index is None:
            self._init_step_index(timestep)
        index: int = self._step_index
        rung = self._rungs[index // self.order]
        latents = sample.float()
        clean = self._clean(model_output.float(), latents, float(self.sigmas[index]))

        def noise() -> Tensor:
            drawn: Tensor = randn_tensor(latents.shape, generator=generator, device=latents.device, dtype=torch.float32)
            return drawn

        start = latents if self._start is None else self._start
        turn = Turn(rung.sigma, rung.following, rung.middle, latents, clean, start, noise)
        if self.order == 1 or rung.following == 0:
            result = self.advance(turn)
        elif self._start is None:
            self._start, result = latents, self.to_middle(turn)
        else:
            self._start, result = None, self.from_middle(turn)
        self._step_index = index + 1
        result = result.to(model_output.dtype)
        if not return_dict:
            return (result, clean)
        return EulerDiscreteSchedulerOutput(prev_sample=result, pred_original_sample=clean)

    def _clean(self, model_output: Tensor, latents: Tensor, sigma: float) -> Tensor:
        kind = self.config.prediction_type
        if kind == "epsilon":
            return latents - sigma * model_output
        if kind == "v_prediction":
            return latents / (sigma**2 + 1) - model_output * (sigma / math.sqrt(sigma**2 + 1))
        return model_output

    def advance(self, turn: Turn) -> Tensor:
        """A whole step with one call: Euler's, unless a solver says otherwise."""
        return toward(turn.latents, turn.clean, turn.following / turn.sigma)

    def to_middle(self, turn: Turn) -> Tensor:
        """The first half of a step: the latents at `middle`."""
        return toward(turn.latents, turn.clean, turn.middle / turn.sigma)

    def from_middle(self, turn: Turn) -> Tensor:
        """The second half of a step: from its start, with what the model said at `middle`, to its end."""
        raise NotImplementedError


def toward(latents: Tensor, clean: Tensor, share: float) -> Tensor:
    """The latents with `share` of their noise left: Euler's step, and DPM-Solver++'s of order 1."""
    return clean + (latents - clean) * share


def ancestral(sigma: float, following: float, eta: float = 1.0) -> tuple[float, float]:
    """How far down to go without noise, and how much noise to add, to arrive at `following`.

    Source: Song et al., "Denoising Diffusion Implicit Models", 2020, equation 16, in sigma.
    """
    up = min(following, eta * following * math.sqrt(max(sigma**2 - following**2, 0.0)) / sigma)
    return math.sqrt(following**2 - up**2), up
