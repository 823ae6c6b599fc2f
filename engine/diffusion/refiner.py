"""A refiner that a job asked for: a second model that takes the latents over for the last share of the steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from engine.diffusion.families import PipelineKind
from engine.diffusion.studio import ReadyModel
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode

_BASES: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT})
_REFINERS: Final = frozenset({Family.SDXL_REFINER, Family.SDXL})


@dataclass(frozen=True, slots=True)
class Refiner:
    """One in memory.

    Attributes:
        start: share of the noise after which it takes over, 0..1.
    """

    model: ReadyModel
    start: float

    def steps_left(self, scheduler: Any) -> int:
        """Of all the calls that `scheduler` has set out for the picture, those that are left to the refiner."""
        trained: int = scheduler.config.num_train_timesteps
        # As the pipelines count them.
        cutoff = round(trained - self.start * trained)
        return int((scheduler.timesteps < cutoff).sum())

    def begins_too_late(self, strength: float, steps: int) -> bool:
        """Whether the first model has no step of its own before this one takes over.

        Args:
            strength: of a picture that is started from, as the pipelines take it.
            steps: of the whole schedule.
        """
        return int(steps * strength) <= math.ceil(steps * (1 - self.start))

    def pipeline(self, scheduler: Any, vae: Any) -> Any:
        """What goes on from latents; `vae` made them, and turns the result into a picture."""
        return self.model.loaded.pipeline(PipelineKind.IMAGE_TO_IMAGE, scheduler, vae=vae)

    def arguments(self, latents: Tensor) -> Mapping[str, Any]:
        """What that pipeline is given beside prompt and sampling."""
        return {"image": latents, "denoising_start": self.start}


def check_refiner(base: ReadyModel, refiner: ReadyModel) -> None:
    """Raises EngineError: `invalid_params`; these two do not work on the same latents."""
    for model, families, role in ((base, _BASES, "refined"), (refiner, _REFINERS, "a refiner")):
        family = model.loaded.family
        if family not in families:
            allowed = " or ".join(sorted(families))
            message = f"refiner: {model.found.name!r} cannot be {role}: it is of the family {family}, not {allowed}"
            raise EngineError(ErrorCode.INVALID_PARAMS, f"{message} at $.params.refiner")
