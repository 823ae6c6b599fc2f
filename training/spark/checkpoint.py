"""One file per stage that holds all it needs to go on: weights, optimizer, average, steps and seconds so far."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from training.spark.files import write_atomically

_MOST_DECAY: Final = 0.999


@dataclass
class Progress:
    """Where a stage stands."""

    step: int = 0
    elapsed_s: float = 0.0
    pictures: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(step, mean loss since the entry before)"""


def save(path: Path, progress: Progress, **parts: Any) -> None:
    """Write `progress` and the state of every part (a module, an optimizer, or plain tensors) in one atomic step."""
    states = {name: part.state_dict() if hasattr(part, "state_dict") else part for name, part in parts.items()}
    write_atomically(path, lambda file: torch.save({"progress": vars(progress), **states}, file))


def load(path: Path, device: torch.device, **parts: Any) -> Progress:
    """Restore what `save` wrote into modules and optimizers of the same shapes, and return where it stood.

    Plain dictionaries among `parts` are updated in place. A missing file is a stage that has not begun.
    """
    if not path.exists():
        return Progress()
    # An optimizer's state holds only tensors and numbers, so the safe reader is enough.
    stored = torch.load(path, map_location=device, weights_only=True)
    for name, part in parts.items():
        if isinstance(part, dict):
            part.update(stored[name])
        else:
            part.load_state_dict(stored[name])
    return Progress(**stored["progress"])


class Average:
    """An exponential moving average of a module's weights, which is what is exported.

    Its decay is min(0.999, (1 + n) / (20 + n)) after n updates, so that early weights are forgotten quickly.
    """

    def __init__(self, module: nn.Module) -> None:
        self._weights = {name: weight.detach().clone() for name, weight in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, updates: int) -> None:
        share = 1 - min(_MOST_DECAY, (1 + updates) / (20 + updates))
        kept, new = [], []
        for name, weight in module.state_dict().items():
            if weight.is_floating_point():
                kept.append(self._weights[name])
                new.append(weight)
            else:
                self._weights[name].copy_(weight)
        torch._foreach_lerp_(kept, new, share)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._weights

    def load_state_dict(self, weights: dict[str, torch.Tensor]) -> None:
        for name, weight in weights.items():
            self._weights[name].copy_(weight)
