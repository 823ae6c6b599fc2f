"""The steps that erasing and removing text share: fill hole after hole, show each, keep the picture."""

from functools import partial
from typing import Final

import numpy as np

from engine.images import Bytes
from engine.inpainting.base import NothingToFillFrom
from engine.inpainting.canvas import Canvas, Filled
from engine.interface import Call, EngineError, RunContext, Steps, Where
from protocol.errors import ErrorCode

JOIN_PX: Final = 24
"""Holes closer than this are filled together: each would take the other's surroundings into account anyway."""
MOST_HOLES: Final = 64
"""More than this many separate holes are joined: every one costs a look at its surroundings."""
_WHOLE_PICTURE: Final = "covers the whole picture and leaves nothing to fill from; paint over less of it"
_COARSE: Final = "a hole was too large for its full resolution; its content is softer than the rest"


def fill_holes(context: RunContext, canvas: Canvas, *, start: float, end: float) -> Steps:
    """Fill every hole of `canvas`, a step and a preview each.

    Args:
        start, end: progress of the whole job before and after.

    Raises:
        EngineError: `invalid_params`: the holes are the whole picture.
    """
    progress, is_coarse = start, False
    for index in range(canvas.holes):
        step = index + 1
        wants_preview = context.wants_previews

        def work(index: int = index, wants_preview: bool = wants_preview) -> tuple[Filled, Bytes | None]:
            # The thumbnail is made here, not in the preview: the next step goes on writing to the canvas.
            return canvas.fill(index), canvas.thumbnail() if wants_preview else None

        try:
            filled, shown = yield Call(work, where=Where.POOL, stage="fill")
        except NothingToFillFrom:
            raise EngineError(ErrorCode.INVALID_PARAMS, f"mask: {_WHOLE_PICTURE} at $.params") from None
        is_coarse = is_coarse or filled.is_coarse
        progress += (end - start) * canvas.share(index)
        context.step(step, canvas.holes, progress=min(progress, end), stage="fill")
        if shown is not None:
            context.preview(step, partial(np.asarray, shown))
    if is_coarse:
        context.warn("reduced_resolution", _COARSE)
