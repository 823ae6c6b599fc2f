"""Sampler and noise schedule names -> a scheduler object of a job's own, made from its model's scheduler config.

    make_scheduler    the object; what cannot be had is approximated or left out, and said
    total_steps       how many model calls a job makes, which is what its progress counts

The table and where each row comes from: docs/schedulers.md.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import diffusers
import numpy as np
from diffusers import FlowMatchEulerDiscreteScheduler

from engine.diffusion.flow_spacing import SpacedFlowEuler
from engine.diffusion.noise_levels import Levels, noise_levels
from engine.diffusion.samplers import FLOW_SAMPLERS, SAMPLERS, Sampler
from engine.diffusion.spacing import LevelMaker, Spaced, spaced
from protocol.sampling import NoiseSchedule, SchedulerName

Warn: TypeAlias = Callable[[str, str], None]
"""(code, message): tells the client of the job (`job.warning`)."""
Scheduler: TypeAlias = Any
"""A diffusers `SchedulerMixin` with `set_timesteps`, `timesteps` and `step`; diffusers has no type that says so."""

_EVEN: Final = {NoiseSchedule.DDIM_UNIFORM: "leading", NoiseSchedule.TRAILING: "trailing"}
"""What PNDM, which steps by a fixed stride, can do, and the `timestep_spacing` it has for it."""

_STAND_INS: Final = {
    "LMSDiscreteScheduler": SchedulerName.LMS,
    "DPMSolverSDEScheduler": SchedulerName.DPMPP_SDE,
    "DEISMultistepScheduler": SchedulerName.DEIS,
    "KDPM2DiscreteScheduler": SchedulerName.DPM_2,
    "KDPM2AncestralDiscreteScheduler": SchedulerName.DPM_2_ANCESTRAL,
}
"""Classes of diffusers that ours stand in for. The first two need packages that are not ours to ask for."""

_EDM_CLASSES: Final = frozenset({"EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"})
_EDM_LEVELS: Final = {"sigma_min": 0.002, "sigma_max": 120.0, "rho": 7.0, "sigma_schedule": "karras"}
"""As Fooocus samples Playground 2.5."""

_NO_SPACING: Final = {
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
}
"""Laid over a config whose levels are replaced anyway: diffusers refuses some of these together, or without scipy."""


def make_scheduler(
    config: Mapping[str, Any],
    name: SchedulerName | None = None,
    noise_schedule: NoiseSchedule | None = None,
    *,
    warn: Warn,
    is_sdxl: bool = False,
    levels: LevelMaker | None = None,
) -> Scheduler:
    """A new scheduler for one job; the model's own, if neither name is given.

    The noise schedule is built in: it is made when a pipeline calls `set_timesteps(steps)`. What the config says of the
    model (prediction type, betas, flow shift) is kept; its spacing too, unless a noise schedule is named.

    Args:
        config: of the model's own scheduler, with `_class_name`.
        warn: told `approximated_sampler`, `approximated_schedule`, `sampler_not_for_model` or `noise_schedule_unused`.
        is_sdxl: the model is of the SDXL family; `align_your_steps` has a table for it.
        levels: makes the levels in the place of the noise schedule, for samplers of models trained on betas that take
            any.
    """
    if _is_flow(config):
        return _flow_scheduler(config, name, noise_schedule, warn)
    if name in FLOW_SAMPLERS and name not in SAMPLERS:
        warn("sampler_not_for_model", f"{name} is for flow-matching models; the model's own sampler is used")
        name = None
    if not _is_trained_on_betas(config):
        if name is not None:
            warn("sampler_not_for_model", f"this model can only be sampled with its own sampler, not with {name}")
        if noise_schedule is NoiseSchedule.EDM and config["_class_name"] in _EDM_CLASSES:
            return _own_class(config).from_config(dict(config), **_EDM_LEVELS)
        if noise_schedule is not None:
            warn("noise_schedule_unused", f"this model's sampler keeps its own levels; {noise_schedule} is not used")
        return _own_class(config).from_config(config)
    if noise_schedule is None and config.get("use_beta_sigmas"):
        noise_schedule = NoiseSchedule.BETA  # without scipy, which diffusers' own would need
    if noise_schedule is NoiseSchedule.EDM:
        warn("approximated_schedule", f"{noise_schedule} is for models trained on its levels; karras is used")
        noise_schedule = NoiseSchedule.KARRAS
    if name is None:
        sampler = _own_sampler(config)
    else:
        sampler = SAMPLERS[name]
        if sampler.stands_for is not None:
            warn("approximated_sampler", f"{name} ({sampler.stands_for}) is approximated by {sampler.kind.__name__}")
    schedule = noise_schedule or (sampler.own_schedule if name else None)
    if levels is not None and sampler.form is not None:
        # Any named one makes room for levels.
        scheduler = _beta_scheduler(config, sampler, NoiseSchedule.NORMAL, warn, is_sdxl)
        scheduler.levels = levels
        return scheduler
    return _beta_scheduler(config, sampler, schedule, warn, is_sdxl)


def total_steps(scheduler: Scheduler) -> int:
    """How many model calls a job makes, once its timesteps are set: more than its steps for two-call samplers."""
    return len(scheduler.timesteps)


def eta_for(scheduler: Scheduler, eta: float | None, *, warn: Warn) -> float:
    """What to pass to a pipeline as `eta`: the request's, or else the sampler's own default.

    Pipelines pass 0 unless told otherwise, which is DDIM's default but not TCD's.
    """
    parameter = inspect.signature(scheduler.step).parameters.get("eta")
    if parameter is None:
        if eta:
            warn("eta_unused", f"eta has no effect on {type(scheduler).__name__}; ddim and tcd have it")
        return 0.0
    return float(parameter.default) if eta is None else eta


def _beta_scheduler(
    config: Mapping[str, Any], sampler: Sampler, schedule: NoiseSchedule | None, warn: Warn, is_sdxl: bool
) -> Scheduler:
    options: dict[str, Any] = dict(sampler.options)
    kind: Any = sampler.kind
    if schedule is not None:
        options |= {key: value for key, value in _NO_SPACING.items() if key in config}
        kind = sampler.spaced_by or kind
        if sampler.form is None and schedule in _EVEN:
            # The offset counts for `leading` only; pipelines want it to be 1 whatever the spacing.
            options |= {"timestep_spacing": _EVEN[schedule], "steps_offset": 1}
            schedule = None
        elif sampler.form is None:
            warn("noise_schedule_unused", f"{kind.__name__} needs evenly spaced steps; {schedule} is not used")
            schedule = None
    needs_room = "original_inference_steps" in inspect.signature(kind).parameters
    if (schedule is not None or needs_room) and sampler.form is not None and not issubclass(kind, Spaced):
        kind = spaced(kind, sampler.form, sampler.last_level)
    # The config's own class decides which of its keys are meant for others; a stand-in would make diffusers complain.
    scheduler = kind.from_config(dict(config), **_known(kind, options))
    if schedule is not None:
        scheduler.levels = partial(_levels, schedule, is_sdxl=is_sdxl, skips_penultimate=sampler.skips_penultimate)
    return scheduler


def _levels(schedule: NoiseSchedule, table: Levels, steps: int, *, is_sdxl: bool, skips_penultimate: bool) -> Levels:
    if not skips_penultimate:
        return noise_levels(schedule, table, steps, is_sdxl=is_sdxl)
    return np.delete(noise_levels(schedule, table, steps + 1, is_sdxl=is_sdxl), -2)


def _flow_scheduler(
    config: Mapping[str, Any], name: SchedulerName | None, schedule: NoiseSchedule | None, warn: Warn
) -> Scheduler:
    own = _own_class(config)
    if name is not None and name not in FLOW_SAMPLERS:
        warn("sampler_not_for_model", f"{name} is not for flow-matching models; the model's own sampler is used")
        name = None
    if schedule in (NoiseSchedule.ALIGN_YOUR_STEPS, NoiseSchedule.EDM):
        warn("noise_schedule_unused", f"{schedule} has no levels for flow-matching models; the model's own are used")
        schedule = None
    kind = SpacedFlowEuler if own is FlowMatchEulerDiscreteScheduler else None
    if name is not None:
        kind = FLOW_SAMPLERS[name]
    if schedule is not None and (kind is None or config.get("invert_sigmas")):
        warn("noise_schedule_unused", f"{own.__name__} keeps its own noise levels; {schedule} is not used")
        schedule = None
    if kind is None or (kind is SpacedFlowEuler and schedule is None):
        return (own if kind is None else FlowMatchEulerDiscreteScheduler).from_config(dict(config))
    options = _NO_SPACING if schedule is not None else {}
    plain: type[Any] = FlowMatchEulerDiscreteScheduler
    ruler = plain.from_config(dict(config), **_known(FlowMatchEulerDiscreteScheduler, options))
    scheduler: Scheduler = kind.from_config(dict(ruler.config))
    # Pipelines read the shift by size off the config of whatever scheduler they are given.
    scheduler.register_to_config(**{key: value for key, value in ruler.config.items() if not key.startswith("_")})
    scheduler.ruler = ruler
    if schedule is not None:
        scheduler.levels = partial(noise_levels, schedule)
    return scheduler


def _own_sampler(config: Mapping[str, Any]) -> Sampler:
    """The model's own class as it is configured."""
    if config["_class_name"] in _STAND_INS:
        return SAMPLERS[_STAND_INS[config["_class_name"]]]
    own = _own_class(config)
    for sampler in SAMPLERS.values():
        if sampler.kind is own:
            return Sampler(kind=own, form=sampler.form, last_level=sampler.last_level, spaced_by=sampler.spaced_by)
    return Sampler(kind=own, form=None)


def _own_class(config: Mapping[str, Any]) -> type[Any]:
    own: type[Any] = getattr(diffusers, str(config["_class_name"]))
    return own


def _is_flow(config: Mapping[str, Any]) -> bool:
    return (
        "FlowMatch" in config["_class_name"]
        or bool(config.get("use_flow_sigmas"))
        or config.get("prediction_type") == "flow_prediction"
    )


def _is_trained_on_betas(config: Mapping[str, Any]) -> bool:
    if config["_class_name"] in _STAND_INS:
        return True
    return "beta_schedule" in inspect.signature(_own_class(config)).parameters


def _known(kind: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in inspect.signature(kind).parameters}
