"""What IOPaint's clients may send, with its defaults, its limits and its coercions.

Reading is as lenient as the original's: numbers and yes or no may come as text, unknown fields are passed over.
"""

import json
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Annotated, Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from service.api.requests import body_chunks, services_of
from service.dialects.fastapi_errors import InvalidRequest

M = TypeVar("M", bound=BaseModel)
Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveShare = Annotated[float, Field(gt=0.0, le=1.0)]

_LONGEST_ECHO: Final = 200


class Foreign(BaseModel):
    """A body of IOPaint's API."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Cv2Flag(StrEnum):
    """Which of OpenCV's two methods fills."""

    NAVIER_STOKES = "INPAINT_NS"
    TELEA = "INPAINT_TELEA"


class PowerPaintTask(StrEnum):
    """What PowerPaint is asked for."""

    TEXT_GUIDED = "text-guided"
    CONTEXT_AWARE = "context-aware"
    SHAPE_GUIDED = "shape-guided"
    OBJECT_REMOVE = "object-remove"
    OUTPAINTING = "outpainting"


class MaskOperation(StrEnum):
    """How a mask is changed."""

    EXPAND = "expand"
    SHRINK = "shrink"
    REVERSE = "reverse"


class InpaintRequest(Foreign):
    """`POST /api/v1/inpaint`. Which fields count depends on the model."""

    image: str | None = None
    mask: str | None = None
    ldm_steps: int = 20
    ldm_sampler: str = "plms"
    zits_wireframe: bool = True
    hd_strategy: str = "Crop"
    hd_strategy_crop_trigger_size: int = 800
    hd_strategy_crop_margin: int = 128
    hd_strategy_resize_limit: int = 1280
    prompt: str = ""
    negative_prompt: str = ""
    use_croper: bool = False
    croper_x: int = 0
    croper_y: int = 0
    croper_height: int = 512
    croper_width: int = 512
    use_extender: bool = False
    extender_x: int = 0
    extender_y: int = 0
    extender_height: int = 640
    extender_width: int = 640
    sd_scale: PositiveShare = 1.0
    sd_mask_blur: int = 11
    sd_strength: Annotated[float, Field(le=1.0)] = 1.0
    sd_steps: int = 50
    sd_guidance_scale: float = 7.5
    sd_sampler: str = "UniPC"
    sd_seed: int = 42
    sd_match_histograms: bool = False
    sd_outpainting_softness: float = 20.0
    sd_outpainting_space: float = 20.0
    sd_lcm_lora: bool = False
    sd_keep_unmasked_area: bool = True
    cv2_flag: Cv2Flag = Cv2Flag.NAVIER_STOKES
    cv2_radius: int = 4
    paint_by_example_example_image: str | None = None
    p2p_image_guidance_scale: float = 1.5
    enable_controlnet: bool = False
    controlnet_conditioning_scale: Share = 0.4
    controlnet_method: str = "lllyasviel/control_v11p_sd15_canny"
    enable_brushnet: bool = False
    brushnet_method: str = "Sanster/brushnet_random_mask"
    brushnet_conditioning_scale: Share = 1.0
    enable_powerpaint_v2: bool = False
    powerpaint_task: PowerPaintTask = PowerPaintTask.TEXT_GUIDED
    fitting_degree: PositiveShare = 1.0


class SwitchModelRequest(Foreign):
    """`POST /api/v1/model`."""

    name: str


class SwitchPluginModelRequest(Foreign):
    """`POST /api/v1/switch_plugin_model`."""

    plugin_name: str
    model_name: str


class RunPluginRequest(Foreign):
    """`POST /api/v1/run_plugin_gen_image` and `run_plugin_gen_mask`. A click is x, y, label and perhaps a number."""

    name: str
    image: str
    clicks: list[list[int]] = Field(default_factory=list)
    scale: float = 2.0


class AdjustMaskRequest(Foreign):
    """`POST /api/v1/adjust_mask`."""

    mask: str
    operate: MaskOperation
    kernel_size: int = 5


async def read_body(request: Request, kind: type[M]) -> M:
    """The body of a request.

    Raises:
        InvalidRequest: it is not JSON, or not such a body.
        ProtocolError: it is too large.
    """
    return parse(kind, await _body(request), "body")


def read_query(request: Request, kind: type[M]) -> M:
    """The query of a request.

    Raises:
        InvalidRequest: something is missing, or of another type.
    """
    return parse(kind, dict(request.query_params), "query")


def parse(kind: type[M], value: object, place: str) -> M:
    """Read a decoded body or query.

    Args:
        place: where it stood: `body` or `query`.

    Raises:
        InvalidRequest: it is not such a one.
    """
    if value is None:
        raise missing(place)
    try:
        found: M = _adapter(kind).validate_python(value, from_attributes=True)
    except ValidationError as error:
        raise InvalidRequest([_shown(detail, place) for detail in error.errors()]) from None
    return found


def missing(*place: str) -> InvalidRequest:
    """That something is not there."""
    return InvalidRequest([{"type": "missing", "loc": list(place), "msg": "Field required", "input": None}])


async def _body(request: Request) -> object:
    content = bytearray()
    async for chunk in body_chunks(request, services_of(request).settings.max_body_bytes):
        content += chunk
    if not content:
        return None
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not (media_type.startswith("application/") and media_type.removeprefix("application/").endswith("json")):
        return bytes(content).decode(errors="replace")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _lenient_json(bytes(content))


def _lenient_json(content: bytes) -> object:
    """Read as the original does, which takes `NaN` and unpaired surrogates; its error says where reading ended."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        detail = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error", "input": {}}
        raise InvalidRequest([{**detail, "ctx": {"error": error.msg}}]) from None
    except (ValueError, RecursionError):  # not UTF-8, a number of too many digits, or nested too deeply
        detail = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
        raise InvalidRequest([detail]) from None


@cache
def _adapter(kind: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(kind)


def _shown(detail: ErrorDetails, place: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": detail["type"], "loc": [place, *detail["loc"]], "msg": detail["msg"]}
    given = detail["input"]
    # The original sends the whole body back, pictures and all.
    echo = _plain(given)
    shown["input"] = f"{echo:.{_LONGEST_ECHO}}" if isinstance(echo, str) else echo
    if isinstance(given, dict):
        shown["input"] = {}
    if "ctx" in detail:
        shown["ctx"] = {name: _plain(value) for name, value in detail["ctx"].items()}
    if "url" in detail:
        shown["url"] = detail["url"]
    return shown


def _plain(value: object) -> object:
    # NaN and infinity are read, but JSON cannot say them.
    is_plain = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))
    return value if is_plain else str(value)
