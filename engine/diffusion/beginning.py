"""What the first noise of a repainted picture is laid over, where a request says otherwise than the pipelines do."""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch

from protocol.holes import Fill, HoleParams, Start
from protocol.params import Frozen

Warn: TypeAlias = Callable[[str, str], None]

_DECIDED: Final = "the model's pipeline decides itself what it starts from"


def begin(pipeline: Any, params: Frozen, strength: float, warn: Warn) -> None:
    """Have a pipeline start from the picture, or from noise alone.

    The stock pipelines start from noise alone at strength 1, and below it from the picture under the noise of that
    level. A hole that was filled is started from at any strength.

    Args:
        pipeline: the job's own; its `prepare_latents` is replaced on the instance.
        params: of any task; nothing is done for one without a hole.
        strength: as the pipeline takes it.
        warn: told of `start_unused` and `fill_unused`.
    """
    if not isinstance(params, HoleParams):
        return
    start = params.start or (None if params.fill is Fill.ORIGINAL else Start.PICTURE)
    if params.fill is not Fill.ORIGINAL and start is Start.NOISE:
        warn("fill_unused", "fill has no effect: the picture is started from noise alone")
    if start is None:
        return
    prepare = getattr(pipeline, "prepare_latents", None)
    signature = inspect.signature(prepare) if callable(prepare) else None
    if prepare is None or signature is None or "timestep" not in signature.parameters:
        _tell_unused(params, warn, _DECIDED)
    elif start is Start.NOISE:
        if strength < 1:
            pipeline.prepare_latents = _from_noise(prepare, signature, pipeline.scheduler, warn)
    elif strength >= 1 and not hasattr(pipeline.scheduler, "add_noise"):
        _tell_unused(params, warn, "at strength 1 this family of models starts from noise alone")
    elif "is_strength_max" in signature.parameters:
        pipeline.prepare_latents = _from_picture(prepare, signature)


def _tell_unused(params: HoleParams, warn: Warn, why: str) -> None:
    if params.start is not None:
        warn("start_unused", f"start has no effect: {why}")
    if params.fill is not Fill.ORIGINAL:
        warn("fill_unused", f"fill has no effect: {why}")


def _from_picture(prepare: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    def prepared(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments["is_strength_max"] = False
        return prepare(*bound.args, **bound.kwargs)

    return prepared


def _from_noise(
    prepare: Callable[..., Any], signature: inspect.Signature, scheduler: Any, warn: Warn
) -> Callable[..., Any]:
    def prepared(*args: Any, **kwargs: Any) -> Any:
        timestep = signature.bind(*args, **kwargs).arguments["timestep"]
        made = prepare(*args, **kwargs)
        if not isinstance(made, tuple) or len(made) < 2 or made[0].shape != made[1].shape:
            warn("start_unused", f"start has no effect: {_DECIDED}")
            return made
        _started, noise, *others = made
        nothing = torch.zeros_like(noise)
        if hasattr(scheduler, "add_noise"):
            return (scheduler.add_noise(nothing, noise, timestep), noise, *others)
        return (scheduler.scale_noise(nothing, timestep, noise), noise, *others)

    return prepared
