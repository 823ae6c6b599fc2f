"""Image prompts that count for a part of the steps only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from torch import nn

from engine.diffusion.schedulers import total_steps
from engine.diffusion.scope import AdapterState, Proceed, current_scope, job_scope, lift_off
from protocol.guides import ImagePromptRef

WithWeights: TypeAlias = Callable[[Sequence[float]], AdapterState]


class PromptTimes:
    """Of one job, around the forwards of its denoiser.

    Step i of n, from 0, is one of a prompt's if i / n is not before its start and (i + 1) / n not after its end: as it
    is with ControlNets. In the others it lies over the denoiser all the same, with the weight 0.

    Args:
        denoiser: that the prompts lie over.
        with_weights: all that lies over the denoiser, with these weights of the prompts.
    """

    def __init__(self, refs: Sequence[ImagePromptRef], denoiser: nn.Module, with_weights: WithWeights) -> None:
        self._refs = refs
        self._denoiser = denoiser
        self._with_weights = with_weights
        self._states: dict[tuple[float, ...], AdapterState] = {}
        self._pipeline: Any = None
        self._step = 0

    def begin(self, pipeline: Any) -> None:
        """A pipeline is about to make its first step."""
        self._pipeline = pipeline
        self._step = 0

    def step_done(self, number: int) -> None:
        """The pipeline has made so many steps."""
        self._step = number

    def lift_off(self) -> None:
        """Have none of it over the denoiser any more."""
        for state in self._states.values():
            lift_off(state)

    def __call__(self, module: nn.Module, given: Mapping[str, Any], proceed: Proceed) -> Any:
        scope = current_scope()
        if module is not self._denoiser or scope is None or self._pipeline is None:
            return proceed(given)
        with job_scope(replace(scope, adapters=self._state())):
            return proceed(given)

    def _state(self) -> AdapterState:
        steps = getattr(self._pipeline, "num_timesteps", None) or total_steps(self._pipeline.scheduler)
        weights = weights_at(self._refs, self._step, steps)
        if weights not in self._states:
            self._states[weights] = self._with_weights(weights)
        return self._states[weights]


def is_timed(refs: Sequence[ImagePromptRef]) -> bool:
    """Whether any of them counts for less than all steps."""
    return any(ref.start > 0 or ref.end < 1 for ref in refs)


def weights_at(refs: Sequence[ImagePromptRef], step: int, steps: int) -> tuple[float, ...]:
    """What each prompt counts in step `step`, from 0, of `steps`."""
    return tuple(ref.weight if ref.start <= step / steps and (step + 1) / steps <= ref.end else 0.0 for ref in refs)
