"""The 19 samplers of IOPaint, by their names, and what they are called here."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from protocol.sampling import NoiseSchedule, SchedulerName
from service.dialects.refusal import Refused


class Sampler(NamedTuple):
    """A scheduler with its noise schedule; None is the model's own spacing."""

    scheduler: SchedulerName
    noise_schedule: NoiseSchedule | None = None


SAMPLERS: Final[Mapping[str, Sampler]] = {
    "DPM++ 2M": Sampler(SchedulerName.DPMPP_2M),
    "DPM++ 2M Karras": Sampler(SchedulerName.DPMPP_2M, NoiseSchedule.KARRAS),
    "DPM++ 2M SDE": Sampler(SchedulerName.DPMPP_2M_SDE),
    "DPM++ 2M SDE Karras": Sampler(SchedulerName.DPMPP_2M_SDE, NoiseSchedule.KARRAS),
    "DPM++ SDE": Sampler(SchedulerName.DPMPP_SDE),
    "DPM++ SDE Karras": Sampler(SchedulerName.DPMPP_SDE, NoiseSchedule.KARRAS),
    "DPM2": Sampler(SchedulerName.DPM_2),
    "DPM2 Karras": Sampler(SchedulerName.DPM_2, NoiseSchedule.KARRAS),
    "DPM2 a": Sampler(SchedulerName.DPM_2_ANCESTRAL),
    "DPM2 a Karras": Sampler(SchedulerName.DPM_2_ANCESTRAL, NoiseSchedule.KARRAS),
    "Euler": Sampler(SchedulerName.EULER),
    "Euler a": Sampler(SchedulerName.EULER_ANCESTRAL),
    "Heun": Sampler(SchedulerName.HEUN),
    "LMS": Sampler(SchedulerName.LMS),
    "LMS Karras": Sampler(SchedulerName.LMS, NoiseSchedule.KARRAS),
    "DDIM": Sampler(SchedulerName.DDIM),
    "PNDM": Sampler(SchedulerName.PNDM),
    "UniPC": Sampler(SchedulerName.UNI_PC),
    "LCM": Sampler(SchedulerName.LCM),
}
"""In the order the original lists them."""


def sampler_named(name: str) -> Sampler:
    """
    Raises:
        Refused: 422: there is none of that name.
    """
    found = SAMPLERS.get(name)
    if found is None:
        raise Refused(422, f"sd_sampler: expected one of {', '.join(SAMPLERS)}, got {name!r:.60}")
    return found
