"""SDXL told of other original sizes than it works at: larger for the prompt, smaller for the negative prompt.

SDXL has learnt which pictures were small before they were enlarged for its training, and is told of each job: the
original size, where the crop begins, the size it is to make. Source of the method: Fooocus' ADM scalers.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from engine.diffusion.scope import Proceed
from protocol.guidance import SizeConditioning

_NUMBERS: Final = 6
"""Original height and width, top and left of the crop, height and width to make. Refiners are told five."""
_TARGET_MULTIPLE_PX: Final = 64


class ToldSizes:
    """Of one job, around the forwards of its denoisers and ControlNets.

    Until the timestep falls to (last timestep) x (1 - end) the original size is the real one times `positive` or, for
    the negative prompt, `negative`, rounded down. After that it is the size to make. That is told as a multiple of 64.

    Args:
        timesteps: how many each model was trained on; others are left alone.
    """

    def __init__(self, asked: SizeConditioning, timesteps: Mapping[nn.Module, int]) -> None:
        self._asked = asked
        self._timesteps = timesteps
        self.has_acted = False
        """Whether a model was told of a size."""

    def __call__(self, module: nn.Module, given: Mapping[str, Any], proceed: Proceed) -> Any:
        conditions = given.get("added_cond_kwargs") or {}
        told = conditions.get("time_ids")
        trained = self._timesteps.get(module)
        if trained is None or not isinstance(told, Tensor) or told.shape[-1] != _NUMBERS:
            return proceed(given)
        self.has_acted = True
        timestep = float(torch.as_tensor(given["timestep"]).reshape(-1)[0])
        is_early = timestep > (trained - 1) * (1 - self._asked.end)
        changed = {**conditions, "time_ids": self._changed(told, is_early=is_early)}
        return proceed({**given, "added_cond_kwargs": changed})

    def _changed(self, told: Tensor, *, is_early: bool) -> Tensor:
        """Of (rows, 6): one row is for the prompt, of two the first for the negative prompt."""
        exact = told.float()
        target = (exact[:, 4:] / _TARGET_MULTIPLE_PX).round() * _TARGET_MULTIPLE_PX
        original = target
        if is_early:
            factors = [self._asked.negative, self._asked.positive][-len(told) :]
            original = (exact[:, :2] * torch.tensor(factors, device=told.device)[:, None]).floor()
        return torch.cat([original, torch.zeros_like(target), target], dim=1).to(told.dtype)
