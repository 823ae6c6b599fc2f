"""How much memory a job will need, before it runs: what the live set is budgeted with."""

import os
from typing import Final

from protocol.editing import BackgroundModel, RemoveBackgroundParams, TestPatternParams, UpscaleParams
from protocol.enhancing import Enhancing
from protocol.erasing import EraseModel, EraseParams, HdStrategy
from protocol.generation import (
    GenerationParams,
    ImageToImageParams,
    InpaintParams,
    OutpaintParams,
    TextToImageParams,
)
from protocol.params import OutputFormat, TaskParams
from protocol.requests import TaskName
from protocol.retouching import RestoreFaceParams
from protocol.segmenting import SegmentModel, SegmentParams

_FLOAT_RGB: Final = 3 * 4
_UINT8_RGB: Final = 3
_USUAL_SIDE_PX: Final = 1024
_BASE_BYTES: Final = 8 << 20
_WORKING_SET_BYTES: Final = {
    TaskName.ERASE: 64 << 20,
    TaskName.REMOVE_TEXT: 512 << 20,
    TaskName.UPSCALE: 768 << 20,
    TaskName.REMOVE_BACKGROUND: 384 << 20,
    TaskName.SEGMENT: 768 << 20,
    TaskName.ADJUST_MASK: 0,
    TaskName.RESTORE_FACE: 1024 << 20,
    TaskName.DESCRIBE: 512 << 20,
    TaskName.TEXT_TO_IMAGE: 256 << 20,
    TaskName.IMAGE_TO_IMAGE: 256 << 20,
    TaskName.INPAINT: 256 << 20,
    TaskName.OUTPAINT: 256 << 20,
    TaskName.ENHANCE: 256 << 20,
    TaskName.LOAD_MODEL: 0,  # weights have a budget of their own
    TaskName.TEST_PATTERN: 0,
}
"""Activations of the task's networks on one tile or one fixed-size input; measured peaks, rounded up."""
_IS_NET: Final = (BackgroundModel.ISNET_GENERAL_USE, BackgroundModel.ISNET_ANIME, BackgroundModel.RMBG_1_4)
_IS_NET_BYTES: Final = 384 << 20
"""What it needs beside that; measured, rounded up."""
_LARGE_BACKGROUND_BYTES: Final = 4 << 30
"""What BiRefNet, which RMBG 2.0 is too, needs beside that. Never measured here."""
_LARGE_SEGMENT_BYTES: Final = 768 << 20
"""What the encoders of SAM, HQ-SAM and SAM 2 need beside that; measured with random weights, rounded up."""
_DETECTOR_BYTES: Final = 1664 << 20
"""What Grounding DINO needs on 800 x 1333 px; measured with random weights, rounded up."""
_WITHOUT_NETWORK: Final = (None, EraseModel.CV2, EraseModel.PATCHMATCH)
_BYTES_PER_SHOWN_PIXEL: Final = 1200
"""Activations of LaMa, measured with 512 and 1024 px a side."""
_OWN_CROP_PIXELS: Final = 512 * 512


def estimate_bytes(task: TaskName, params: TaskParams, input_pixels: int) -> int:
    """Bytes a job needs at its peak: pictures in and out as floats, plus the working set of its networks.

    Args:
        input_pixels: of all input pictures together.
    """
    pictures = input_pixels * (_FLOAT_RGB + 2 * _UINT8_RGB)
    if isinstance(params, EraseParams) and params.model not in _WITHOUT_NETWORK:
        pictures += _shown_pixels(params, input_pixels) * _BYTES_PER_SHOWN_PIXEL
    if isinstance(params, UpscaleParams):
        pictures += int(input_pixels * 16 * _UINT8_RGB + input_pixels * params.factor**2 * _FLOAT_RGB)
    if isinstance(params, RemoveBackgroundParams):
        pictures += _background_bytes(params.model)
    if isinstance(params, SegmentParams) and params.model is not SegmentModel.MOBILE_SAM:
        pictures += _LARGE_SEGMENT_BYTES
    if isinstance(params, SegmentParams) and params.text is not None:
        # One network after the other.
        pictures += max(0, _DETECTOR_BYTES - _WORKING_SET_BYTES[TaskName.SEGMENT])
    if isinstance(params, RestoreFaceParams) and params.enhance_background:
        pictures += input_pixels * 16 * _UINT8_RGB + _WORKING_SET_BYTES[TaskName.UPSCALE]
    if isinstance(params, TextToImageParams | ImageToImageParams):
        pictures += (params.width or _USUAL_SIDE_PX) * (params.height or _USUAL_SIDE_PX) * 4 * _FLOAT_RGB
    if isinstance(params, ImageToImageParams) and params.upscale is not None:
        pictures += int(input_pixels * 16 * _UINT8_RGB + input_pixels * params.upscale**2 * 4 * _FLOAT_RGB)
        pictures += _WORKING_SET_BYTES[TaskName.UPSCALE]
    if isinstance(params, InpaintParams) and params.upscale_model is not None:
        pictures += _USUAL_SIDE_PX**2 * 16 * _UINT8_RGB + _WORKING_SET_BYTES[TaskName.UPSCALE]
    if isinstance(params, OutpaintParams | InpaintParams) and params.left + params.top + params.right + params.bottom:
        # Nothing is known of the picture but its area: as if it were square.
        side = int(input_pixels**0.5)
        area = (side + params.left + params.right) * (side + params.top + params.bottom)
        pictures += area * 4 * _FLOAT_RGB
    if isinstance(params, GenerationParams) and params.enhance is not None:
        pictures += _enhancing_bytes(params.enhance, input_pixels)
    if isinstance(params, TestPatternParams):
        pictures += params.width * params.height * 2 * _UINT8_RGB
        if params.format is OutputFormat.PNG:
            pictures += params.width * params.height * _UINT8_RGB
    return _BASE_BYTES + pictures + _WORKING_SET_BYTES[task]


def _shown_pixels(params: EraseParams, input_pixels: int) -> int:
    """About how many an erase model is shown at once; nothing is known of the mask yet."""
    if params.model in {EraseModel.FCF, EraseModel.MIGAN}:
        return _OWN_CROP_PIXELS
    pixels = input_pixels if params.mask is None else input_pixels // 2
    match params.hd_strategy:
        case HdStrategy.ORIGINAL:
            return pixels
        case HdStrategy.RESIZE:
            return min(pixels, params.hd_resize_limit_px**2)
        case HdStrategy.CROP:
            return min(pixels, (params.hd_crop_trigger_px + 2 * params.hd_crop_margin_px) ** 2)


def _enhancing_bytes(enhancing: Enhancing, input_pixels: int) -> int:
    """What the stages need at most, beside what making a picture needs: one of them is at work at a time."""
    needed = [_USUAL_SIDE_PX**2 * 4 * _FLOAT_RGB]
    for region in enhancing.regions:
        if region.subject is not None:
            needed.append(_WORKING_SET_BYTES[TaskName.REMOVE_BACKGROUND] + _background_bytes(region.subject))
        else:
            is_small = region.model is SegmentModel.MOBILE_SAM
            cutting = _WORKING_SET_BYTES[TaskName.SEGMENT] + (0 if is_small else _LARGE_SEGMENT_BYTES)
            needed.append(max(_DETECTOR_BYTES, cutting))
        if region.upscale_model is not None:
            needed.append(_USUAL_SIDE_PX**2 * 16 * _UINT8_RGB + _WORKING_SET_BYTES[TaskName.UPSCALE])
    rework = enhancing.rework
    if rework is not None and rework.upscale is not None:
        pixels = max(input_pixels, _USUAL_SIDE_PX**2)
        enlarged = int(pixels * 16 * _UINT8_RGB + pixels * rework.upscale**2 * 4 * _FLOAT_RGB)
        needed.append(enlarged + _WORKING_SET_BYTES[TaskName.UPSCALE])
    return max(needed)


def _background_bytes(model: BackgroundModel) -> int:
    if model in _IS_NET:
        return _IS_NET_BYTES
    is_large = model is BackgroundModel.RMBG_2_0 or model.value.startswith("birefnet")
    return _LARGE_BACKGROUND_BYTES if is_large else 0


def default_budget_bytes() -> int:
    """Half of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
