"""How long a stage trains: a number of steps, or minutes of wall time counted over all its runs."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The end of a stage; exactly one of the two is set.

    Steps make a run repeatable to the bit; minutes make it end on time on a machine shared with others.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("a budget is either steps or minutes")

    def progress(self, step: int, elapsed_s: float) -> float:
        """Share of the budget used, from 0; 1 or more when the stage is over.

        Args:
            step: steps finished, over all runs.
            elapsed_s: seconds trained, over all runs.
        """
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None
        return elapsed_s / (self.minutes * 60)


def learning_rate_factor(step: int, progress: float, *, warmup_steps: int, decay_from: float) -> float:
    """Warm-up, a constant stretch, then a cosine down to 2 % at the end of the budget.

    The constant stretch is what makes a run extendable: a longer budget goes on from it as if asked for at the start.
    """
    warm = min(1.0, (step + 1) / warmup_steps)
    if progress <= decay_from:
        return warm
    into = min(1.0, (progress - decay_from) / (1 - decay_from))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * into)))
