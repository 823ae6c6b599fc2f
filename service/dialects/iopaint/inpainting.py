"""From a request to inpaint to one of our tasks: a table for erase models, and one for diffusion models."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.erasing import EraseModel, FillMethod, HdStrategy, LdmSampler
from protocol.params import MAX_SIDE_PX
from protocol.requests import TaskName
from service.dialects.iopaint.brushes import brushed
from service.dialects.iopaint.controls import chosen_control
from service.dialects.iopaint.requests import Cv2Flag, InpaintRequest, PowerPaintTask
from service.dialects.iopaint.samplers import sampler_named
from service.dialects.listed_model import Editor, Listed
from service.dialects.picture_size import Size
from service.dialects.refusal import Refused

_ANY_SEED: Final = -1
_SEEDS: Final = 99_999_999
_ERASING_SEEDS: Final = 2**32
_DIFFUSION_SEEDS: Final = 2**63
_MOST_RADIUS_PX: Final = 100
_MOST_BLUR_PX: Final = 256
_MOST_STEPS: Final = 500
_LEAST_SCALE: Final = 0.05
_MOST_LDM_STEPS: Final = 1000
_MOST_GUIDANCE: Final = 100.0
_STRATEGIES: Final = {"Crop": HdStrategy.CROP, "Resize": HdStrategy.RESIZE, "Original": HdStrategy.ORIGINAL}
_METHODS: Final = {Cv2Flag.NAVIER_STOKES: FillMethod.NAVIER_STOKES, Cv2Flag.TELEA: FillMethod.TELEA}


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a request, decoded from base64: files, whole as they came; and the size of the image.

    Attributes:
        example: of what to paint, if one came.
    """

    image: bytes
    mask: bytes
    size: Size
    example: bytes | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a request comes to.

    Attributes:
        params: of the task; pictures as bytes.
        seed: told in `X-Seed`, whether or not the model draws lots.
    """

    task: TaskName
    params: Mapping[str, Any]
    seed: int


def seed_of(request: InpaintRequest) -> int:
    """The seed of a request; -1 picks one of 1..99999999."""
    return 1 + secrets.randbelow(_SEEDS) if request.sd_seed == _ANY_SEED else request.sd_seed


def order(request: InpaintRequest, model: Listed, picture: Pictures, *, quality: int) -> Order:
    """Translate a request.

    Args:
        model: that works now.
        quality: of lossy output, 1..100.

    Raises:
        Refused: 4xx: a value that does not work, or something this server does not do.
    """
    seed = seed_of(request)
    out = {"format": "source", "keep_metadata": True, "quality": quality}
    if model.eraser is not None:
        out["seed"] = seed % _ERASING_SEEDS
        return Order(TaskName.ERASE, {**out, **_erasing(request, model.eraser, picture)}, seed)
    out["seed"] = seed % _DIFFUSION_SEEDS
    brush = brushed(request, model.brushes, model.powerpaint, model.name)
    out |= {**_diffusing(request, model), **_editing(request, model, picture), **brush}
    if request.use_extender:
        if not model.can_extend:
            raise Refused(422, f"use_extender: {model.name!r} changes what is there, and cannot paint beyond it")
        return Order(TaskName.OUTPAINT, {**out, **_borders(request, picture)}, seed)
    return Order(TaskName.INPAINT, {**out, **_repainting(request, model, picture)}, seed)


def _erasing(request: InpaintRequest, model: EraseModel, picture: Pictures) -> dict[str, Any]:
    params: dict[str, Any] = {
        "image": picture.image,
        "mask": picture.mask,
        "model": model.value,
        # The mask as it was given, with a hard edge: whoever painted it here has widened it already.
        "grow_px": 0,
        "feather_px": 0,
        "keep_unmasked": request.sd_keep_unmasked_area,
        "hd_strategy": _STRATEGIES.get(request.hd_strategy, HdStrategy.ORIGINAL).value,
        "hd_crop_trigger_px": _side("hd_strategy_crop_trigger_size", request.hd_strategy_crop_trigger_size, least=0),
        "hd_crop_margin_px": _side("hd_strategy_crop_margin", request.hd_strategy_crop_margin, least=0),
        "hd_resize_limit_px": _side("hd_strategy_resize_limit", request.hd_strategy_resize_limit, least=1),
        "zits_wireframe": request.zits_wireframe,
    }
    if model is EraseModel.CV2:
        params["method"] = _METHODS[request.cv2_flag].value
        params["fill_radius_px"] = min(max(request.cv2_radius, 0), _MOST_RADIUS_PX)
    if model is EraseModel.LDM:
        if request.ldm_sampler not in set(LdmSampler):
            samplers = " or ".join(LdmSampler)
            raise Refused(422, f"ldm_sampler: expected {samplers}, got {request.ldm_sampler!r:.60}")
        params["ldm_sampler"] = request.ldm_sampler
        params["ldm_steps"] = _within("ldm_steps", request.ldm_steps, 1, _MOST_LDM_STEPS)
    return params


def _diffusing(request: InpaintRequest, model: Listed) -> dict[str, Any]:
    """What inpainting and outpainting share."""
    sampler = sampler_named(request.sd_sampler)
    params: dict[str, Any] = {
        "model": model.model,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "steps": _within("sd_steps", request.sd_steps, 1, _MOST_STEPS),
        "guidance_scale": max(0.0, request.sd_guidance_scale),
        "scheduler": sampler.scheduler.value,
    }
    if sampler.noise_schedule is not None:
        params["noise_schedule"] = sampler.noise_schedule.value
    if request.sd_lcm_lora and not request.enable_brushnet:
        if model.lcm_lora is None:
            raise Refused(422, f"sd_lcm_lora: this server has no LCM LoRA for {model.name!r}")
        params["loras"] = [{"name": model.lcm_lora, "weight": 1.0}]
    return params


def _editing(request: InpaintRequest, model: Listed, picture: Pictures) -> dict[str, Any]:
    """What models of some families are told beside."""
    params: dict[str, Any] = {} if picture.example is None else {"example": picture.example}
    is_second = request.enable_powerpaint_v2 and not request.enable_brushnet
    if model.editor is Editor.POWERPAINT or is_second:
        params["repaint_task"] = request.powerpaint_task.value
        is_fitted = request.powerpaint_task is PowerPaintTask.SHAPE_GUIDED
        if is_fitted or "fitting_degree" in request.model_fields_set:
            params["fitting_degree"] = request.fitting_degree
    if model.editor is Editor.INSTRUCT_PIX2PIX:
        scale = request.p2p_image_guidance_scale
        # Below 1 the original's pipeline is not guided at all, whatever the other scale is.
        params |= {"guidance_scale": 1.0} if scale < 1 else {"image_guidance_scale": min(scale, _MOST_GUIDANCE)}
    return params


def _repainting(request: InpaintRequest, model: Listed, picture: Pictures) -> dict[str, Any]:
    if request.sd_strength <= 0 and model.has_strength:
        raise Refused(422, f"sd_strength: expected above 0 and at most 1, got {request.sd_strength:g}")
    params: dict[str, Any] = {
        **_controlled(request, model),
        "image": picture.image,
        "mask": picture.mask,
        "mask_blur_px": min(max(request.sd_mask_blur, 0), _MOST_BLUR_PX),
        # The original shows the model the whole picture.
        "crop": False,
        "scale": max(request.sd_scale, _LEAST_SCALE),
        "match_histograms": request.sd_match_histograms,
        "keep_unmasked": request.sd_keep_unmasked_area,
    }
    if model.has_strength or request.sd_strength < 1:
        params["strength"] = max(0.0, request.sd_strength)
    if request.use_croper:
        area = {
            "x": request.croper_x,
            "y": request.croper_y,
            "width": request.croper_width,
            "height": request.croper_height,
        }
        if min(request.croper_width, request.croper_height) < 1:
            raise Refused(422, "croper: expected a rectangle of at least 1 x 1")
        params["area"] = area
    return params


def _controlled(request: InpaintRequest, model: Listed) -> dict[str, Any]:
    """The ControlNet that was asked for.

    Not for the extender, with which the original gives it no weight, nor with a BrushNet, which switches it off there.
    """
    if not request.enable_controlnet or request.enable_brushnet or request.controlnet_conditioning_scale <= 0:
        return {}
    name, preprocess = chosen_control(request.controlnet_method, model.controls, model.name)
    scale = request.controlnet_conditioning_scale
    return {"controls": [{"model": name, "preprocess": preprocess.value, "scale": scale}]}


def _borders(request: InpaintRequest, picture: Pictures) -> dict[str, Any]:
    """How far the extender's rectangle goes beyond the picture on each side."""
    left, top = request.extender_x, request.extender_y
    right, bottom = left + request.extender_width, top + request.extender_height
    if min(right, picture.size.width) <= max(left, 0) or min(bottom, picture.size.height) <= max(top, 0):
        raise Refused(422, "extender: expected a rectangle that meets the picture")
    borders = {
        "left": max(0, -left),
        "top": max(0, -top),
        "right": max(0, right - picture.size.width),
        "bottom": max(0, bottom - picture.size.height),
    }
    if not any(borders.values()):
        raise Refused(422, "extender: expected a rectangle that goes beyond the picture")
    return {"image": picture.image, **borders}


def _side(name: str, value: int, *, least: int) -> int:
    if value < least:
        raise Refused(422, f"{name}: expected {least} or more, got {value}")
    return min(value, MAX_SIDE_PX)


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise Refused(422, f"{name}: expected {least}..{most}, got {value}")
    return value
