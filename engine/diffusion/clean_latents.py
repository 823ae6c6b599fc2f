"""What a job's picture would be if it stopped now: the clean latents its scheduler works towards, seen step by step.

Pipelines keep them to themselves, so the scheduler's `step` is wrapped, on the job's own scheduler object.
"""

import inspect
import math
import time
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


class CleanLatents:
    """Watches one scheduler. For the executor thread.

    The wrapped `step` takes and gives what it did before. Nothing is computed for it that the scheduler does not
    compute anyway, until `latest` is asked for; one step's tensors are kept alive.
    """

    def __init__(self, scheduler: Any) -> None:
        self._find: Callable[[], Tensor] | None = None
        self._step_s = math.inf
        self._stepped_at = time.monotonic()
        original = type(scheduler).step
        parameters = list(inspect.signature(original).parameters)[1:]
        # Held weakly: a job's scheduler, with the latents it keeps, is to go when the job does.
        held: Callable[[], Any] = weakref.ref(scheduler)

        @wraps(original.__get__(scheduler))
        def step(*args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
            own = held()
            given = dict(zip(parameters, args, strict=False)) | kwargs
            return_dict = given.pop("return_dict", return_dict)
            before = own.step_index if hasattr(own, "step_index") else None
            result = original(own, **given, return_dict=True)
            now = time.monotonic()
            self._step_s, self._stepped_at = min(self._step_s, now - self._stepped_at), now
            self._find = _finder(own, result, given["model_output"], given["timestep"], given["sample"], before)
            return result if return_dict else result.to_tuple()

        # `wraps` would keep the bound method, and with it the scheduler; pipelines read the parameters only.
        vars(step)["__signature__"] = inspect.signature(step)
        del vars(step)["__wrapped__"]
        scheduler.step = step

    @property
    def step_s(self) -> float:
        """The least time that lay between two steps, which other jobs may have lengthened; 0 before the first."""
        return 0.0 if math.isinf(self._step_s) else self._step_s

    def latest(self) -> Tensor | None:
        """The clean latents predicted at the last step, in the scheduler's layout; None before the first."""
        if self._find is None:
            return None
        found = self._find()
        self._find = lambda: found
        return found


def _finder(
    scheduler: Any, result: Any, model_output: Tensor, timestep: Any, sample: Tensor, before: int | None
) -> Callable[[], Tensor]:
    """How to get the clean latents of a step, the cheapest way its scheduler has."""
    for name in ("pred_original_sample", "denoised"):
        found = result.get(name)
        if found is not None:
            return lambda: found
    kept = getattr(scheduler, "model_outputs", None)
    if kept and kept[-1] is not None and _keeps_clean(scheduler.config):
        newest = kept[-1]
        return lambda: newest
    sigmas = getattr(scheduler, "sigmas", None)
    kind = scheduler.config.get("prediction_type", "epsilon")
    if sigmas is not None:
        index = scheduler.step_index - 1 if before is None else before
        sigma = float(sigmas[index])
        if kind == "flow_prediction" or any("FlowMatch" in base.__name__ for base in type(scheduler).__mro__):
            return lambda: sample - sigma * model_output
        scaled = not math.isclose(float(torch.as_tensor(scheduler.init_noise_sigma)), 1.0)
        alpha = 1.0 if scaled else 1 / math.sqrt(1 + sigma**2)
        return lambda: _clean(sample / alpha, model_output, sigma, kind)
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is not None:
        kept_share = float(alphas[int(timestep)])
        sigma = math.sqrt((1 - kept_share) / kept_share)
        return lambda: _clean(sample / math.sqrt(kept_share), model_output, sigma, kind)
    latents = result.prev_sample
    return lambda: latents


def _keeps_clean(config: Any) -> bool:
    """Whether `model_outputs` are predicted clean latents."""
    return bool(config.get("predict_x0")) or config.get("algorithm_type") in {"dpmsolver++", "sde-dpmsolver++"}


def _clean(latents: Tensor, model_output: Tensor, sigma: float, kind: str) -> Tensor:
    """The clean latents, from latents in VE form (clean plus sigma times noise)."""
    if kind == "epsilon":
        return latents - sigma * model_output
    if kind == "v_prediction":
        return latents / (1 + sigma**2) - model_output * (sigma / math.sqrt(1 + sigma**2))
    return model_output
