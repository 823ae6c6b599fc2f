"""What clients of the text-removal service may send, with its defaults, which are not IOPaint's.

Reading is as lenient as the original's. What says how a diffusion model works is taken and has no effect: the models
this service allows have no prompt.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, FiniteFloat

from protocol.erasing import EraseModel, FillMethod, HdStrategy
from protocol.params import MAX_SIDE_PX
from service.dialects.base64_picture import decode_picture
from service.dialects.picture_size import Size
from service.dialects.reading import Foreign
from service.dialects.refusal import Refused

MOST_REGIONS: Final = 1000
_TASK_ID: Final = re.compile(r"[A-Za-z0-9._:~@+-]{1,128}", re.ASCII)
_STRATEGIES: Final = {"Crop": HdStrategy.CROP, "Resize": HdStrategy.RESIZE, "Original": HdStrategy.ORIGINAL}
"""Any other text means the same as Original."""
_SEED_LIMIT: Final = 2**32


class _Options(Foreign):
    """What every request may say of how it is done."""

    sd_seed: int = -1
    sd_steps: int = 25
    sd_strength: float = 1.0
    sd_guidance_scale: float = 7.5
    sd_sampler: str = "ddim"
    hd_strategy: str = "Original"
    hd_strategy_crop_trigger_size: int = 1280
    hd_strategy_crop_margin: int = 32
    hd_strategy_resize_limit: int = 1280
    prompt: str | None = ""
    negative_prompt: str | None = ""


class MaskRequest(_Options):
    """`POST /api/v1/inpaint`."""

    image: str
    mask: str


class TextRegion(Foreign):
    """A rectangle around a text, in pixels."""

    x: FiniteFloat
    y: FiniteFloat
    width: FiniteFloat
    height: FiniteFloat


class RegionsRequest(_Options):
    """`POST /api/v1/inpaint-regions` and `inpaint-regions-json`."""

    image: str
    regions: list[TextRegion]

    @property
    def total_area(self) -> int:
        """Of all regions as they were sent, in pixels; those that overlap count twice."""
        return int(sum(region.width * region.height for region in self.regions))


class AsyncRequest(RegionsRequest):
    """`POST /api/v1/inpaint-regions-async`. How often progress is told, nobody chooses: as it is made."""

    task_id: str | None = None
    enable_progress: bool = True
    progress_interval: float = Field(1.0, description="Without effect, as in the original.")
    callback_url: str | None = None


def check_regions(request: RegionsRequest) -> None:
    """
    Raises:
        Refused: 400: there is no picture, no region, or there are too many.
    """
    if not request.image:
        raise Refused(400, "Image is required")
    if not request.regions:
        raise Refused(400, "At least one region is required")
    if len(request.regions) > MOST_REGIONS:
        raise Refused(400, f"regions: expected at most {MOST_REGIONS}, got {len(request.regions)}")


def check_task_id(task_id: str) -> str:
    """
    Raises:
        Refused: 400: it could not stand in a path, or is too long.
    """
    if _TASK_ID.fullmatch(task_id) is None:
        allowed = "1 to 128 letters, digits and . _ : ~ @ + -"
        raise Refused(400, f"task_id: expected {allowed}, got {task_id!r:.160}")
    return task_id


def decode_plain(text: str, max_bytes: int) -> bytes:
    """The picture of a request with regions: base64 and nothing around it. Blocks.

    Raises:
        Refused: 400: it is something else.
        ProtocolError: `too_large`.
    """
    if text.startswith("data:"):
        raise Refused(400, "image: expected plain base64, got a data URL")
    return decode_picture(text, "image", max_bytes)


def erase_params(
    asked: _Options, model: EraseModel, *, image: bytes, **where: bytes | Sequence[Mapping[str, int]]
) -> dict[str, Any]:
    """A request as parameters of our task `erase`.

    Args:
        where: `mask` or `regions`.
    """
    params: dict[str, Any] = {
        "image": image,
        **where,
        "keep_metadata": True,
        # What the client sends has been widened by whoever found the text.
        "grow_px": 0,
        "feather_px": 0,
        "seed": asked.sd_seed % _SEED_LIMIT if asked.sd_seed >= 0 else 0,
    }
    if model is EraseModel.PATCHMATCH:
        # Region by region, with progress after each, instead of the whole picture at once.
        return {**params, "method": FillMethod.PATCHMATCH.value}
    return {
        **params,
        "model": model.value,
        "hd_strategy": _STRATEGIES.get(asked.hd_strategy, HdStrategy.ORIGINAL).value,
        "hd_crop_trigger_px": _clamped(asked.hd_strategy_crop_trigger_size, 0, MAX_SIDE_PX),
        "hd_crop_margin_px": _clamped(asked.hd_strategy_crop_margin, 0, MAX_SIDE_PX),
        "hd_resize_limit_px": _clamped(asked.hd_strategy_resize_limit, 1, MAX_SIDE_PX),
    }


def placed(regions: Sequence[TextRegion], size: Size) -> list[dict[str, int]]:
    """Regions as the original places them in a picture.

    Numbers lose what stands behind the point. The corner is moved into the picture, the size is kept and then cut at
    the border, and something is always left: of a region outside the picture one pixel of its edge.
    """
    return [_placed(region, size) for region in regions]


def _placed(region: TextRegion, size: Size) -> dict[str, int]:
    x, y = _clamped(int(region.x), 0, size.width - 1), _clamped(int(region.y), 0, size.height - 1)
    return {
        "x": x,
        "y": y,
        "width": _clamped(int(region.width), 1, size.width - x),
        "height": _clamped(int(region.height), 1, size.height - y),
    }


def _clamped(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)
