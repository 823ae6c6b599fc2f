"""How many CPU threads a training step is fastest with, found out while training."""

import statistics
from collections import defaultdict

import torch


class Threads:
    """Chooses between one thread and `most`, by the time of real steps, again and again.

    On a machine shared with others two threads can be slower than one: each small operation waits for the thread
    whose core is taken. On a quiet machine two are faster.
    """

    def __init__(self, most: int, *, look_every: int = 60, look_steps: int = 4) -> None:
        self._choices = sorted({1, most})
        self._look_every = look_every
        self._look_steps = look_steps
        self._times: dict[int, list[float]] = defaultdict(list)
        self._count = 0
        self._best = most
        torch.set_num_threads(self._choices[0])

    @property
    def best(self) -> int:
        return self._best

    def finished(self, seconds: float) -> None:
        """Note how long the step just made took, and set the number of threads for the next one."""
        if len(self._choices) == 1:
            return
        place = self._count % self._look_every
        looking = place // self._look_steps
        if looking < len(self._choices):
            self._times[self._choices[looking]].append(seconds)
        self._count += 1
        place = self._count % self._look_every
        looking = place // self._look_steps
        if looking < len(self._choices):
            if place == 0:
                self._times.clear()
            torch.set_num_threads(self._choices[looking])
        elif looking == len(self._choices) and place % self._look_steps == 0:
            self._best = min(self._choices, key=lambda choice: statistics.median(self._times[choice]))
            torch.set_num_threads(self._best)
