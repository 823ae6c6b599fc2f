"""Enlarge the canvas and paint what lies beyond the picture."""

import numpy as np

from engine import images
from engine.diffusion.canvas import cut_out, stretch
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Picture
from engine.interface import EngineError, Run, RunContext, Steps
from engine.masks import Box
from engine.tasks.inpaint import Repainted
from protocol.errors import ErrorCode
from protocol.generation import OutpaintParams
from protocol.params import MAX_SIDE_PX


def outpaint(run: Run, context: RunContext, studio: Studio) -> Steps:
    """One output per image, larger than the picture by what was asked; the picture keeps its pixels.

    Only a rim of `overlap_px` along the enlarged sides may change, to hide the seam. Transparency is laid on white.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`; `invalid_params`: the result would be too large.
    """
    return generate(run, context, studio, PipelineKind.INPAINT, _compose)


def _compose(run: Run, context: RunContext, model: ReadyModel) -> Repainted:
    params = run.params
    assert isinstance(params, OutpaintParams)
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    width = params.left + picture.width + params.right
    height = params.top + picture.height + params.bottom
    if max(width, height) > MAX_SIDE_PX:
        sizes = f"expected a result of at most {MAX_SIDE_PX} px a side, got {width} x {height}"
        raise EngineError(ErrorCode.INVALID_PARAMS, f"left, top, right, bottom: {sizes} at $.params")
    start = stretch(
        images.on_white(picture), left=params.left, top=params.top, right=params.right, bottom=params.bottom
    )
    kept = np.zeros((height, width), np.bool_)
    inner = _inner(params, picture)
    if inner is not None:
        kept[inner.slices] = True
    canvas = cut_out(start, ~kept, model.working, margin_px=None, blur_px=params.overlap_px)
    return Repainted(canvas, params.strength, Picture(start, None, picture.depth_bits, picture.origin))


def _inner(params: OutpaintParams, picture: Picture) -> Box | None:
    """Where the picture lies in the larger one, less the rim that may change; None if that is all of it."""
    left, top, right, bottom = (
        params.overlap_px if side else 0 for side in (params.left, params.top, params.right, params.bottom)
    )
    width, height = picture.width - left - right, picture.height - top - bottom
    return Box(params.left + left, params.top + top, width, height) if width > 0 and height > 0 else None
