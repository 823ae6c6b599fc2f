"""ControlNets that hold the details less than the composition."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from engine.diffusion.scope import Proceed


class SoftControl:
    """Of one job, around the forwards of its ControlNets.

    A ControlNet adds something to each stage of the denoiser, from the finest and outermost, 0, to the middle, n - 1.
    What it adds at stage i is multiplied by 1 - softness x (1 - i / (n - 1)): the finest by 1 - softness, the middle
    by 1. Of SDXL n is 10, of SD 1 and 2 it is 13. Source: Fooocus' softness of ControlNets, which is for SDXL.
    """

    def __init__(self, softness: float, nets: Collection[nn.Module]) -> None:
        self._softness = softness
        self._nets = nets

    def __call__(self, module: nn.Module, given: Mapping[str, Any], proceed: Proceed) -> Any:
        result = proceed(given)
        if module not in self._nets:
            return result
        stages, middle = result
        # The middle is stage n - 1.
        softened = [stage * (1 - self._softness * (1 - i / len(stages))) for i, stage in enumerate(stages)]
        return (softened, middle)
