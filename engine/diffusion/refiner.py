"""A refiner that a job asked for: a second model that takes its pictures over for the last share of the steps."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from engine.diffusion.families import PipelineKind
from engine.diffusion.guidance import embeds_guidance
from engine.diffusion.studio import ReadyModel
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode
from protocol.refining import RefinerStart, RefinerSwap

_BASES: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT})
_SAME_LATENTS: Final = frozenset({Family.SDXL_REFINER, Family.SDXL})
_REFINERS: Final = _SAME_LATENTS | {Family.SD1, Family.SD2}


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a picture is handed over.

    Attributes:
        timestep: the first model makes the calls at it and above.
        share: of the noise schedule, as the pipelines take it: exclusively 0..1.
    """

    timestep: float
    share: float


@dataclass(frozen=True, slots=True)
class Refiner:
    """One in memory.

    Attributes:
        start: share after which it takes over, 0..1.
        start_by: of what.
    """

    model: ReadyModel
    start: float
    start_by: RefinerStart = RefinerStart.NOISE
    swap: RefinerSwap = RefinerSwap.SEPARATE

    def cut(self, scheduler: Any, first: int) -> Cut | None:
        """Where it takes over; None if that is before the first model's first call or after its last.

        Args:
            scheduler: with the timesteps of the picture set.
            first: the call the picture begins with, of those that are set out.
        """
        trained: int = scheduler.config.num_train_timesteps
        calls = [float(timestep) for timestep in scheduler.timesteps]
        if self.start_by is RefinerStart.NOISE:
            # As the pipelines count them.
            cut = Cut(round(trained - self.start * trained), self.start)
            return cut if calls[first] >= cut.timestep else None
        steps = math.ceil((len(calls) - first) / scheduler.order)
        following = first + scheduler.order * max(1, round(self.start * steps))
        if following >= len(calls):
            return None
        # Pipelines cut at whole timesteps: two calls within one are not told apart.
        whole = max(1, math.floor(calls[following - 1]))
        return Cut((calls[following - 1] + calls[following]) / 2, 1 - whole / trained)

    def pipeline(self, scheduler: Any, vae: Any) -> Any:
        """What goes on from latents; `vae` made them, and turns the result into a picture."""
        return self.model.loaded.pipeline(PipelineKind.IMAGE_TO_IMAGE, scheduler, vae=vae)

    def arguments(self, latents: Tensor, cut: Cut) -> Mapping[str, Any]:
        """What that pipeline is given beside prompt and sampling."""
        return {"image": latents, "denoising_start": cut.share}


def calls_left(scheduler: Any, cut: Cut) -> int:
    """Of all the calls that `scheduler` has set out for a picture, those that are left to the refiner."""
    # As the pipelines count them.
    trained: int = scheduler.config.num_train_timesteps
    return int((scheduler.timesteps < round(trained - cut.share * trained)).sum())


def check_refiner(base: ReadyModel, refiner: ReadyModel) -> None:
    """Raises EngineError: `invalid_params`; the one cannot go on with what the other makes."""
    for model, families, role in ((base, _BASES, "refined"), (refiner, _REFINERS, "a refiner")):
        family = model.loaded.family
        if family not in families:
            allowed = " or ".join(sorted(families))
            message = f"refiner: {model.found.name!r} cannot be {role}: it is of the family {family}, not {allowed}"
            raise EngineError(ErrorCode.INVALID_PARAMS, f"{message} at $.params.refiner")


def choose_swap(
    asked: RefinerSwap | None, base: ReadyModel, refiner: ReadyModel, warn: Callable[[str, str], None]
) -> RefinerSwap:
    """How the refiner takes over: as asked, if these two can.

    Args:
        warn: told of `refiner_swap_changed`.
    """
    if refiner.loaded.family not in _SAME_LATENTS:
        if asked not in (None, RefinerSwap.VAE):
            warn("refiner_swap_changed", f"refiner_swap: {refiner.found.name!r} has other latents; it is vae")
        return RefinerSwap.VAE
    if asked is RefinerSwap.JOINT and embeds_guidance(base.loaded) != embeds_guidance(refiner.loaded):
        warn("refiner_swap_changed", "refiner_swap: only one of the models was distilled for guidance; it is separate")
        return RefinerSwap.SEPARATE
    return asked or RefinerSwap.SEPARATE
