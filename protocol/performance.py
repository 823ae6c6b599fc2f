"""How fast or how carefully pictures are made: one word for the number of steps and all that goes with it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Performance(StrEnum):
    """Modes of speed."""

    QUALITY = "quality"
    SPEED = "speed"
    EXTREME_SPEED = "extreme_speed"
    LIGHTNING = "lightning"
    HYPER_SD = "hyper_sd"


PERFORMANCE_DESCRIPTIONS: Final[Mapping[Performance, str]] = {
    Performance.QUALITY: "60 steps.",
    Performance.SPEED: "30 steps.",
    Performance.EXTREME_SPEED: "8 steps with the LCM LoRA.",
    Performance.LIGHTNING: "4 steps with the Lightning LoRA.",
    Performance.HYPER_SD: "4 steps with the Hyper-SD LoRA.",
}
"""Total: every mode has one line."""

PERFORMANCE_STEPS: Final[Mapping[Performance, int]] = {
    Performance.QUALITY: 60,
    Performance.SPEED: 30,
    Performance.EXTREME_SPEED: 8,
    Performance.LIGHTNING: 4,
    Performance.HYPER_SD: 4,
}
"""Total: denoising steps of a picture. One that is made of an enlarged picture may have fewer."""

FEW_STEPS: Final = frozenset({Performance.EXTREME_SPEED, Performance.LIGHTNING, Performance.HYPER_SD})
"""The modes with a LoRA of their own, which works with settings of its own only."""

OWN_SETTINGS: Final = frozenset(
    {
        *("scheduler", "noise_schedule", "refiner"),
        *("guidance_scale", "sharpness", "adaptive_guidance", "size_conditioning"),
    }
)
"""The parameters that those modes do not go by."""
