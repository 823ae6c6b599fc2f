"""The nine noise schedulers of the Stable Diffusion API: classes of diffusers, by our names."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from protocol.sampling import SchedulerName


class Scheduler(StrEnum):
    """What a request may name."""

    DPM_SOLVER_MULTISTEP = "DPMSolverMultistepScheduler"
    DDIM = "DDIMScheduler"
    EULER = "EulerDiscreteScheduler"
    EULER_ANCESTRAL = "EulerAncestralDiscreteScheduler"
    PNDM = "PNDMScheduler"
    LMS = "LMSDiscreteScheduler"
    HEUN = "HeunDiscreteScheduler"
    DPM_2 = "KDPM2DiscreteScheduler"
    DPM_2_ANCESTRAL = "KDPM2AncestralDiscreteScheduler"


SCHEDULERS: Final[Mapping[Scheduler, SchedulerName]] = {
    Scheduler.DPM_SOLVER_MULTISTEP: SchedulerName.DPMPP_2M,
    Scheduler.DDIM: SchedulerName.DDIM,
    Scheduler.EULER: SchedulerName.EULER,
    Scheduler.EULER_ANCESTRAL: SchedulerName.EULER_ANCESTRAL,
    Scheduler.PNDM: SchedulerName.PNDM,
    Scheduler.LMS: SchedulerName.LMS,
    Scheduler.HEUN: SchedulerName.HEUN,
    Scheduler.DPM_2: SchedulerName.DPM_2,
    Scheduler.DPM_2_ANCESTRAL: SchedulerName.DPM_2_ANCESTRAL,
}
"""Total. Each class as it is made without options: `dpmsolver++` of order 2 for the first."""
