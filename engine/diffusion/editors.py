"""Models trained for one way of changing pictures: what their pipelines take beside a picture, and what others do not.

instruct_pix2pix    the prompt says what to change; `image_guidance_scale`
paint_by_example    a picture says what to paint; `example`
powerpaint          learned words say what to do; see `engine.diffusion.task_prompts`
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final, cast

from torch import Tensor

from engine.diffusion.example_encoder import example_pixels
from engine.diffusion.families import FAMILIES
from engine.diffusion.generation_job import GenerationJob
from engine.interface import Call, EngineError, Where
from engine.library.records import Family
from engine.steps import await_call
from protocol.errors import ErrorCode

_EXAMPLE: Final = "example"
_SIDES: Final = ("left", "top", "right", "bottom")


def edited(job: GenerationJob, given: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """What the job's scene gives its pipeline, as the pipelines of these models take it. In a job's greenlet.

    Args:
        given: by the scene.
        known: names of what the pipeline takes.

    Raises:
        EngineError: `invalid_params`: the model needs an example and there is none, or it would have to paint what is
            not there and cannot; `bad_image`.
    """
    _check_paints_anew(job)
    params = job.params
    example = getattr(params, _EXAMPLE, None)
    image_guidance = getattr(params, "image_guidance_scale", None)
    more: dict[str, Any] = {}
    if image_guidance is not None:
        more["image_guidance_scale"] = image_guidance
        _tell_image_guidance(job, known)
    if job.model.loaded.family is Family.PAINT_BY_EXAMPLE:
        if example is None:
            message = f"example: {job.model.found.name!r} paints by an example, and needs one at $.params.example"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
        side = job.model.loaded.components["image_encoder"].config.image_size
        prepare = partial(_example, job, side)
        more["example_image"] = cast("Tensor", await_call(Call(prepare, Where.POOL, "read")))
        # It takes tensors as they are, and was trained on -1 to 1.
        more["image"] = given["image"] * 2 - 1
    elif example is not None:
        job.warn("example_unused", f"example: {job.model.found.name!r} paints by a prompt, not by an example")
    return {**given, **more}


def _example(job: GenerationJob, side_px: int) -> Tensor:
    return example_pixels(job.read(_EXAMPLE), side_px)


def _check_paints_anew(job: GenerationJob) -> None:
    is_wider = any(getattr(job.params, side, 0) for side in _SIDES)
    family = job.model.loaded.family
    if is_wider and not FAMILIES[family].paints_anew:
        message = f"model: {job.model.found.name!r} changes what is there, and cannot paint beyond the picture"
        raise EngineError(ErrorCode.INVALID_PARAMS, message)


def _tell_image_guidance(job: GenerationJob, known: Collection[str]) -> None:
    if "image_guidance_scale" not in known:
        unused = "the model does not change pictures by instruction"
    elif job.guidance_scale <= 1:
        unused = "with a guidance scale of 1 or less"
    else:
        return
    job.warn("image_guidance_scale_unused", f"image_guidance_scale has no effect: {unused}")
