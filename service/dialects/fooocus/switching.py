"""When the refiner takes over: Fooocus' `overwrite_switch`, which is the number of a step or a share of the steps."""

from typing import Final

from protocol.performance import PERFORMANCE_STEPS
from service.dialects.fooocus.choices import OUR_PERFORMANCE, Performance

MOST_STEPS: Final = 200
NO_SWITCH: Final = -1.0
"""Nothing is overwritten."""


def share_before(step: float, performance: Performance, overwrite_step: int) -> float:
    """The share of a picture's steps that come before one of them, 0..1.

    Args:
        step: its number, from 1.
        overwrite_step: how many steps there are; 0 and less for what is usual with `performance`.
    """
    steps = overwrite_step if overwrite_step > 0 else PERFORMANCE_STEPS[OUR_PERFORMANCE[performance]]
    return min(1.0, step / steps)
