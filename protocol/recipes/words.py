"""What samplers, noise schedules and modes of speed are called in files, and which of ours each means.

Source: the names of A1111's web interface and of Fooocus 2.5, as observed.
"""

from collections.abc import Mapping
from typing import Final

from protocol.performance import Performance
from protocol.sampling import NoiseSchedule, SchedulerName

LABELS: Final[Mapping[str, str]] = {
    SchedulerName.EULER: "Euler",
    SchedulerName.EULER_ANCESTRAL: "Euler a",
    SchedulerName.HEUN: "Heun",
    SchedulerName.DPM_2: "DPM2",
    SchedulerName.DPM_2_ANCESTRAL: "DPM2 a",
    SchedulerName.LMS: "LMS",
    SchedulerName.DPM_FAST: "DPM fast",
    SchedulerName.DPM_ADAPTIVE: "DPM adaptive",
    SchedulerName.DPMPP_2S_ANCESTRAL: "DPM++ 2S a",
    SchedulerName.DPMPP_SDE: "DPM++ SDE",
    SchedulerName.DPMPP_2M: "DPM++ 2M",
    SchedulerName.DPMPP_2M_SDE: "DPM++ 2M SDE",
    SchedulerName.DPMPP_2M_SDE_HEUN: "DPM++ 2M SDE Heun",
    SchedulerName.DPMPP_3M_SDE: "DPM++ 3M SDE",
    SchedulerName.LCM: "LCM",
    SchedulerName.TCD: "TCD",
    SchedulerName.RESTART: "Restart",
    SchedulerName.DDIM: "DDIM",
    SchedulerName.PNDM: "PLMS",
    SchedulerName.UNI_PC: "UniPC",
}
"""Sampler -> its label in A1111; the others go by their own names."""
_SAMPLERS: Final = {label.casefold(): name for name, label in LABELS.items()}
_KARRAS: Final = " Karras"
_NO_KARRAS: Final = frozenset({"euler", "euler_ancestral", "heun", "dpm_fast", "dpm_adaptive", "ddim", "uni_pc"})
"""Samplers whose label does not say so."""
_ON_GPU: Final = "_gpu"

OUR_SCHEDULES: Final[Mapping[str, NoiseSchedule]] = {
    "edm_playground_v2.5": NoiseSchedule.EDM,
    "tcd": NoiseSchedule.LCM,
}
"""Fooocus' names for noise schedules that have other names here; the rest are called the same."""
_SCHEDULES: Final[Mapping[str, str]] = {NoiseSchedule.EDM: "edm_playground_v2.5"}
_MODES: Final[Mapping[str, str]] = {
    Performance.QUALITY: "Quality",
    Performance.SPEED: "Speed",
    Performance.EXTREME_SPEED: "Extreme Speed",
    Performance.LIGHTNING: "Lightning",
    Performance.HYPER_SD: "Hyper-SD",
}
_OUR_MODES: Final = {name.casefold(): ours for ours, name in _MODES.items()}


def label_of(scheduler: str, noise_schedule: str | None) -> str:
    """A sampler as A1111 calls it, with the noise schedule where the label has it."""
    label = LABELS.get(scheduler, scheduler)
    return label + _KARRAS if noise_schedule == NoiseSchedule.KARRAS and scheduler not in _NO_KARRAS else label


def sampler_of(label: str) -> tuple[str, str | None]:
    """The sampler that a label or a name of Fooocus means, and the noise schedule if it says one."""
    name = label.removesuffix(_KARRAS)
    schedule = NoiseSchedule.KARRAS.value if name != label else None
    return str(_SAMPLERS.get(name.casefold(), name.removesuffix(_ON_GPU))), schedule


def schedule_name(noise_schedule: str) -> str:
    """A noise schedule as Fooocus calls it."""
    return _SCHEDULES.get(noise_schedule, noise_schedule)


def schedule_of(name: str) -> str:
    """The noise schedule that a name of Fooocus, or of A1111, means."""
    return str(OUR_SCHEDULES.get(name, name)).casefold().replace(" ", "_")


def mode_name(performance: str) -> str:
    """A mode of speed as Fooocus calls it."""
    return _MODES.get(performance, performance)


def mode_of(name: str) -> str:
    """The mode of speed that a name of Fooocus means."""
    return str(_OUR_MODES.get(name.casefold(), name))
