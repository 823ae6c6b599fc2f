"""How much memory a job will need, before it runs: what the live set is budgeted with."""

import os
from typing import Final

from protocol.editing import TestPatternParams, UpscaleParams
from protocol.generation import ImageToImageParams, OutpaintParams, TextToImageParams
from protocol.params import OutputFormat, TaskParams
from protocol.requests import TaskName
from protocol.retouching import RestoreFaceParams

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
    TaskName.LOAD_MODEL: 0,  # weights have a budget of their own
    TaskName.TEST_PATTERN: 0,
}
"""Activations of the task's networks on one tile or one fixed-size input; measured peaks, rounded up."""


def estimate_bytes(task: TaskName, params: TaskParams, input_pixels: int) -> int:
    """Bytes a job needs at its peak: pictures in and out as floats, plus the working set of its networks.

    Args:
        input_pixels: of all input pictures together.
    """
    pictures = input_pixels * (_FLOAT_RGB + 2 * _UINT8_RGB)
    if isinstance(params, UpscaleParams):
        pictures += int(input_pixels * 16 * _UINT8_RGB + input_pixels * params.factor**2 * _FLOAT_RGB)
    if isinstance(params, RestoreFaceParams) and params.enhance_background:
        pictures += input_pixels * 16 * _UINT8_RGB + _WORKING_SET_BYTES[TaskName.UPSCALE]
    if isinstance(params, TextToImageParams | ImageToImageParams):
        pictures += (params.width or _USUAL_SIDE_PX) * (params.height or _USUAL_SIDE_PX) * 4 * _FLOAT_RGB
    if isinstance(params, OutpaintParams):
        # Nothing is known of the picture but its area: as if it were square.
        side = int(input_pixels**0.5)
        area = (side + params.left + params.right) * (side + params.top + params.bottom)
        pictures += area * 4 * _FLOAT_RGB
    if isinstance(params, TestPatternParams):
        pictures += params.width * params.height * 2 * _UINT8_RGB
        if params.format is OutputFormat.PNG:
            pictures += params.width * params.height * _UINT8_RGB
    return _BASE_BYTES + pictures + _WORKING_SET_BYTES[task]


def default_budget_bytes() -> int:
    """Half of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
