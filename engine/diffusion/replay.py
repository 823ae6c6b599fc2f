"""How many noise levels a picture is replayed over, for pipelines that count in shares of a schedule."""

import math
from dataclasses import dataclass
from typing import Final

from protocol.params import Frozen
from protocol.replay import ReplayParams

_TRAINED_LEVELS: Final = 1000
"""No schedule is cut finer than what the models were trained on."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a pipeline is asked for.

    Attributes:
        levels: of the whole schedule, of which the last are used; 1..1000.
        strength: which share of them, above 0 and at most 1.
    """

    levels: int
    strength: float


def replay(steps: int, strength: float, *, is_full: bool) -> Replay:
    """The schedule for a picture that is started from.

    Args:
        steps: asked for.
        strength: likewise, 0..1; at least one step is made.
        is_full: all `steps` are made within the share of the schedule, which is cut finer for it. Otherwise that share
            of `steps` is made.
    """
    if not is_full or strength >= 1:
        return Replay(steps, max(strength, _share(1, steps) or 1.0001 / steps))
    levels = math.ceil(steps / strength) if strength * _TRAINED_LEVELS > steps else _TRAINED_LEVELS
    while (share := _share(steps, levels)) is None:
        levels -= 1
    return Replay(levels, share)


def _share(steps: int, levels: int) -> float | None:
    """What gives exactly `steps` when it is multiplied by `levels`; None if no number does.

    Some pipelines round the product down and others up.
    """
    share = steps / levels
    nearest = (share, math.nextafter(share, 1), math.nextafter(share, 0))
    return next((each for each in nearest if levels * each == steps), None)


def runs_all_steps(params: Frozen) -> bool:
    """Whether a request asks for all of its steps within its share of the schedule."""
    return isinstance(params, ReplayParams) and params.full_steps
