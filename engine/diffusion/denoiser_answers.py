"""What a denoiser's answer says, read from the answer and from what the denoiser was given, whatever the sampler.

A UNet is shown sqrt(a) x + sqrt(1 - a) n of clean latents x and unit noise n, with a the share of the signal at its
timestep, and answers with n (epsilon), sqrt(a) n - sqrt(1 - a) x (v_prediction) or x (sample). A flow-matching model is
shown (1 - s) x + s n and answers with n - x, where s is its timestep over how many it was trained on.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.spacing import training_sigmas

_LEAST_SIGNAL: Final = 1e-4
"""At full noise a velocity says nothing of the noise; what would be divided by 0 is multiplied by 0 anyway."""
_FLOW: Final = "flow"


@dataclass(frozen=True, slots=True)
class Answers:
    """How one model's answers are to be read.

    Attributes:
        kind: `epsilon`, `v_prediction`, `sample` or `flow`.
        timesteps: how many the model was trained on.
        log_sigmas: (timesteps,) rising; of noise over clean latents. Unused by flow-matching models.
    """

    kind: str
    timesteps: int
    log_sigmas: np.ndarray[Any, np.dtype[np.float64]] | None = None

    @classmethod
    def of(cls, scheduler: Any) -> "Answers | None":
        """Of the model that a scheduler was made for; None if its levels are no table of betas and no flow."""
        timesteps = int(scheduler.config.get("num_train_timesteps", 1000))
        if any("FlowMatch" in base.__name__ for base in type(scheduler).__mro__):
            return cls(_FLOW, timesteps)
        kind = scheduler.config.get("prediction_type", "epsilon")
        if not hasattr(scheduler, "alphas_cumprod") or kind not in ("epsilon", "v_prediction", "sample"):
            return None
        return cls(kind, timesteps, np.log(training_sigmas(scheduler)))

    def progress(self, timestep: Any) -> float:
        """0 at full noise, 1 at none, even in timesteps."""
        last = self.timesteps - 1
        return min(max(1 - _number(timestep) / last, 0.0), 1.0)

    def clean(self, given: Tensor, answer: Tensor, timestep: Any) -> Tensor:
        """The clean latents an answer stands for.

        Args:
            given: (N, C, H, W), what the denoiser was shown of the latents.
            answer: of the same shape.
        """
        signal, noise = self._shares(timestep)
        if self.kind == _FLOW:
            return given - noise * answer
        if self.kind == "epsilon":
            return (given - noise * answer) / signal
        return signal * given - noise * answer if self.kind == "v_prediction" else answer

    def noise(self, given: Tensor, answer: Tensor, timestep: Any) -> Tensor:
        """The noise an answer stands for; the velocity, of flow-matching models. Shapes as for `clean`."""
        signal, noise = self._shares(timestep)
        if self.kind == "v_prediction":
            return signal * answer + noise * given
        return (given - signal * answer) / noise if self.kind == "sample" else answer

    def with_noise_changed(self, answer: Tensor, change: Tensor, timestep: Any) -> Tensor:
        """The answer that says the same of what was given, with other noise: with `change` more of it."""
        signal, noise = self._shares(timestep)
        if self.kind == "v_prediction":
            return answer + change / signal
        return answer - noise / signal * change if self.kind == "sample" else answer + change

    def _shares(self, timestep: Any) -> tuple[float, float]:
        """How much of what the denoiser is shown is clean latents, and how much unit noise."""
        if self.log_sigmas is None:
            noise = _number(timestep) / self.timesteps
            return 1 - noise, noise
        # Samplers stop between timesteps as well: levels are even in the logarithm there, as for `timesteps_at`.
        places = np.arange(len(self.log_sigmas))
        sigma = float(np.exp(np.interp(_number(timestep), places, self.log_sigmas)))
        signal = max(1 / np.sqrt(1 + sigma**2), _LEAST_SIGNAL)
        return float(signal), float(np.sqrt(1 - signal**2))


def _number(timestep: Any) -> float:
    """Of one that is the same for all rows."""
    return float(torch.as_tensor(timestep).reshape(-1)[0])
