"""What a stage of `enhance` is as a request of its own: the parameters of `inpaint` or `image_to_image`. No torch."""

from collections.abc import Mapping
from typing import Any, Final

from protocol.brushnet import BrushedParams
from protocol.enhancing import EnhancedRegion, Enhancing, EnhancingParams, Rework, ReworkPrompt
from protocol.generation import GenerationParams, ImageToImageParams, InpaintParams
from protocol.repainting import InstructedParams, RepaintingParams

_HERE: Final = "stage:picture"
"""In the place of a picture: that of the stage before."""
_SHARED: Final = (
    (GenerationParams.model_fields.keys() - EnhancingParams.model_fields.keys())
    | BrushedParams.model_fields.keys()
    | InstructedParams.model_fields.keys()
    | RepaintingParams.model_fields.keys()
)
"""What counts for the stages as for the picture."""
_OF_REGION: Final = (
    "strength",
    "full_steps",
    "grow_px",
    "grow_shape",
    "invert_mask",
    "mask_blur_px",
    "soft_edge",
    "context",
    "upscale_model",
    "fill",
    "start",
    "inpaint_patch",
)
_OF_REWORK: Final = ("full_steps", "size_rule", "upscale", "upscale_model")


def region_params(params: GenerationParams, region: EnhancedRegion, index: int) -> InpaintParams:
    """What repainting a region is asked with, for image `index`."""
    own = {name: getattr(region, name) for name in _OF_REGION}
    # What is not said has its own meaning in some of them.
    own = {name: value for name, value in own.items() if value is not None}
    prompts = {
        "prompt": region.prompt or params.prompt,
        "negative_prompt": region.negative_prompt or params.negative_prompt,
    }
    shared = _shared(params, InpaintParams, index)
    return InpaintParams(**{**shared, **own, **prompts, "image": _HERE, "mask": _HERE})


def rework_params(params: GenerationParams, enhancing: Enhancing, rework: Rework, index: int) -> ImageToImageParams:
    """What making all of a picture anew is asked with, for image `index`."""
    own = {name: getattr(rework, name) for name in _OF_REWORK}
    prompts = {"prompt": params.prompt, "negative_prompt": params.negative_prompt}
    if rework.prompts is ReworkPrompt.LAST_REGION:
        worded = [region for region in enhancing.regions if region.prompt]
        if worded:
            last = worded[-1]
            prompts = {"prompt": last.prompt, "negative_prompt": last.negative_prompt or params.negative_prompt}
    shared = _shared(params, ImageToImageParams, index)
    return ImageToImageParams(**{**shared, **own, **prompts, "strength": rework.share, "image": _HERE})


def picture_params(params: GenerationParams, index: int) -> GenerationParams:
    """What image `index` of a job is asked with before it is enhanced: as the last of so many images."""
    return params.model_copy(update={"enhance": None, "images": index + 1})


def _shared(params: GenerationParams, kind: type[GenerationParams], index: int) -> Mapping[str, Any]:
    # What was left out may mean something else than its default: a mode of speed sets the steps nobody asked for.
    asked = params.model_fields_set & _SHARED & kind.model_fields.keys()
    return {**{name: getattr(params, name) for name in asked}, "images": index + 1}
