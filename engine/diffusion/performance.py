"""What a mode of speed stands for: a number of steps, and for the fast ones a LoRA and the only settings it works with.

    mode            steps   enlarged   LoRA, its weight       sampler, noise schedule
    -------------   -----   --------   --------------------   -----------------------
    quality         60      36         -                      as asked
    speed           30      18         -                      as asked
    extreme_speed   8       8          LCM, 1.0               lcm, its own
    lightning       4       4          Lightning, 1.0         euler, sgm_uniform
    hyper_sd        4       4          Hyper-SD, 0.8          dpmpp_sde, karras

A fast mode is made without guidance and what goes with it, and without a refiner: its LoRA was trained so. `steps` of
the request counts before those of the mode.

Source: the modes of Fooocus 2.5, as observed; the LoRAs by Luo et al. (LCM-LoRA, 2023), Lin et al. (SDXL-Lightning,
2024) and Ren et al. (Hyper-SD, 2024).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, cast

from engine.diffusion.kinship import may_fit
from engine.diffusion.prompt_loras import take_out_loras
from engine.diffusion.studio import Studio
from engine.interface import Call, EngineError, Where
from engine.library.records import Family, FoundModel, ModelKind
from engine.steps import await_call
from protocol.generation import GenerationParams, ImageToImageParams, LoraRef
from protocol.performance import PERFORMANCE_STEPS, Performance
from protocol.sampling import NoiseSchedule, SchedulerName

Warn = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What one mode stands for.

    Attributes:
        steps: of a picture.
        steps_enlarged: of one that is made of an enlarged picture; None for as many.
        loras: names the LoRA goes by, the most usual first; none if it needs none.
        forced: parameters it works with only.
    """

    steps: int
    steps_enlarged: int | None = None
    loras: Sequence[str] = ()
    weight: float = 1.0
    forced: Mapping[str, Any] = field(default_factory=dict)


def _few(scheduler: SchedulerName, schedule: NoiseSchedule | None) -> Mapping[str, Any]:
    without = {"refiner": None, "sharpness": 0.0, "adaptive_guidance": None, "size_conditioning": None}
    return {"scheduler": scheduler, "noise_schedule": schedule, "guidance_scale": 1.0, **without}


MODES: Final[Mapping[Performance, Mode]] = {
    Performance.QUALITY: Mode(steps=PERFORMANCE_STEPS[Performance.QUALITY], steps_enlarged=36),
    Performance.SPEED: Mode(steps=PERFORMANCE_STEPS[Performance.SPEED], steps_enlarged=18),
    Performance.EXTREME_SPEED: Mode(
        steps=PERFORMANCE_STEPS[Performance.EXTREME_SPEED],
        loras=("sdxl_lcm_lora", "latent-consistency/lcm-lora-sdxl", "latent-consistency/lcm-lora-sdv1-5"),
        forced=_few(SchedulerName.LCM, None),
    ),
    Performance.LIGHTNING: Mode(
        steps=PERFORMANCE_STEPS[Performance.LIGHTNING],
        loras=("sdxl_lightning_4step_lora",),
        forced=_few(SchedulerName.EULER, NoiseSchedule.SGM_UNIFORM),
    ),
    Performance.HYPER_SD: Mode(
        steps=PERFORMANCE_STEPS[Performance.HYPER_SD],
        loras=("sdxl_hyper_sd_4step_lora", "Hyper-SDXL-4steps-lora", "Hyper-SD15-4steps-lora"),
        weight=0.8,
        forced=_few(SchedulerName.DPMPP_SDE, NoiseSchedule.KARRAS),
    ),
}
"""Total. The names are those Fooocus stores the files under, then those they are published under."""

_WITHOUT: Final = MODES[Performance.SPEED]
"""What a fast mode is without its LoRA: settings for few steps would spoil the picture."""


def as_performed(params: GenerationParams, family: Family, studio: Studio, warn: Warn) -> GenerationParams:
    """The parameters with what their `performance` stands for. From inside a job's greenlet.

    A fast mode whose LoRA is not there, or not for this family, is made like `speed`. A LoRA of its own that the
    request names is not laid over the model twice.

    Args:
        family: of the model.
        warn: told of `performance_unused`: no LoRA; `performance_overrides`: what was asked for and does not count.
    """
    if params.performance is None:
        return params
    mode = MODES[params.performance]
    if not mode.loras:
        return params.model_copy(update={"steps": steps_for(params, mode)})
    found = _lora(studio, mode, family)
    if found is None:
        warn("performance_unused", _not_there(params.performance, mode, family))
        return params.model_copy(update={"steps": steps_for(params, _WITHOUT)})
    _tell_overridden(params, mode, warn)
    loras = params.loras
    if not _is_named(params, found):
        loras = (*loras, LoraRef(name=found.name, weight=mode.weight))
    return params.model_copy(update={**mode.forced, "loras": loras, "steps": steps_for(params, mode)})


def steps_for(params: GenerationParams, mode: Mode) -> int:
    """How many denoising steps: as asked, or else as the mode has it."""
    if params.steps is not None:
        return params.steps
    is_enlarged = isinstance(params, ImageToImageParams) and params.upscale is not None
    return mode.steps if mode.steps_enlarged is None or not is_enlarged else mode.steps_enlarged


def _lora(studio: Studio, mode: Mode, family: Family) -> FoundModel | None:
    """The first of the mode's that is there and may be for this family."""
    for name in mode.loras:
        try:
            # Beside the device: it may have to look through folders.
            call = Call(partial(studio.find, name, ModelKind.LORA), Where.POOL, "read")
            found = cast("FoundModel", await_call(call))
        except EngineError:
            continue  # not there, damaged, or several: none that could be taken
        if may_fit(found.family, family):
            return found
    return None


def _is_named(params: GenerationParams, found: FoundModel) -> bool:
    _, tagged = take_out_loras(params.prompt)
    return any(_stem(ref.name) == _stem(found.name) for ref in (*params.loras, *tagged))


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name.casefold().removesuffix(".safetensors")


def _not_there(performance: Performance, mode: Mode, family: Family) -> str:
    return (
        f"performance: {performance} needs a LoRA that is not here, or not for models of the family {family}: put "
        f"{mode.loras[0]}.safetensors (SDXL) into the folder loras; made like speed"
    )


def _tell_overridden(params: GenerationParams, mode: Mode, warn: Warn) -> None:
    asked = [
        name
        for name, value in mode.forced.items()
        if name in params.model_fields_set and getattr(params, name) not in (None, value)
    ]
    if asked:
        warn("performance_overrides", f"performance: {params.performance} does not go by {', '.join(asked)}")
