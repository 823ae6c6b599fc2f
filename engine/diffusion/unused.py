"""Parameters of a request that the model's pipeline has no place for. Imports no torch."""

from collections.abc import Callable, Collection

from protocol.generation import GenerationParams


def tell_unused(params: GenerationParams, known: Collection[str], warn: Callable[[str, str], None]) -> None:
    """Warn of what was asked for and cannot act, beside the prompts and what is added to the model.

    Args:
        known: names of what the pipeline takes.
        warn: told of `steps_unused`, `guidance_scale_unused`, `eta_unused`, `strength_unused` and `refiner_unused`.
    """
    asked = params.model_fields_set
    if params.steps is not None and "num_inference_steps" not in known:
        warn("steps_unused", "steps: the model makes as many as it was made for")
    if params.guidance_scale is not None and not {"guidance_scale", "true_cfg_scale"} & set(known):
        warn("guidance_scale_unused", "guidance_scale has no effect on this model, which is not guided")
    if params.eta and "eta" not in known:
        warn("eta_unused", "eta has no effect on this model")
    if {"strength", "full_steps"} & asked and "strength" not in known:
        warn("strength_unused", "strength has no effect on this model, which always starts from noise")
    for name in sorted({"refiner_start", "refiner_start_by", "refiner_swap"} & asked):
        if params.refiner is None:
            warn("refiner_unused", f"{name} has no effect without a refiner")
