"""Fooocus' samplers and schedulers, as ours; names that are not known stand for the default, as there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.events import JobWarning
from protocol.recipes.words import OUR_SCHEDULES
from protocol.sampling import NoiseSchedule, SchedulerName
from service.dialects.fooocus.choices import DEFAULT_SAMPLER, DEFAULT_SCHEDULE

_DOCUMENTED: Final = {"default_sampler": DEFAULT_SAMPLER, "default_scheduler": DEFAULT_SCHEDULE}
"""The defaults, as the documents of Fooocus-API call them."""
_ON_GPU: Final = "_gpu"
"""Ends names of samplers that draw their noise on the GPU; here noise always comes from the seed, on the CPU."""
SAMPLERS: Final = (
    "euler", "euler_ancestral", "heun", "heunpp2", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive",
    "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu", "ddpm", "lcm", "tcd", "restart", "ddim", "uni_pc", "uni_pc_bh2",
)  # fmt: skip
SCHEDULES: Final[Mapping[str, NoiseSchedule]] = {
    "normal": NoiseSchedule.NORMAL,
    "karras": NoiseSchedule.KARRAS,
    "exponential": NoiseSchedule.EXPONENTIAL,
    "sgm_uniform": NoiseSchedule.SGM_UNIFORM,
    "simple": NoiseSchedule.SIMPLE,
    "ddim_uniform": NoiseSchedule.DDIM_UNIFORM,
    "lcm": NoiseSchedule.LCM,
    "turbo": NoiseSchedule.TURBO,
    "align_your_steps": NoiseSchedule.ALIGN_YOUR_STEPS,
    **OUR_SCHEDULES,
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampler and a noise schedule of ours, and what of the names could not be taken at their word."""

    scheduler: SchedulerName
    noise_schedule: NoiseSchedule
    notes: tuple[JobWarning, ...] = ()


def sampling(sampler: str, schedule: str) -> Sampling:
    """What two names of Fooocus mean."""
    notes = []
    sampler, schedule = _DOCUMENTED.get(sampler, sampler), _DOCUMENTED.get(schedule, schedule)
    if sampler not in SAMPLERS:
        notes.append(_unknown("sampler_name", sampler, DEFAULT_SAMPLER))
        sampler = DEFAULT_SAMPLER
    if schedule not in SCHEDULES:
        notes.append(_unknown("scheduler_name", schedule, DEFAULT_SCHEDULE))
        schedule = DEFAULT_SCHEDULE
    return Sampling(SchedulerName(sampler.removesuffix(_ON_GPU)), SCHEDULES[schedule], tuple(notes))


def _unknown(field: str, name: str, taken: str) -> JobWarning:
    return JobWarning(code="unknown_name", message=f"{field}: there is no {name!r:.60}; {taken} was taken instead")
