"""Enlarge the canvas and paint what lies beyond the picture."""

import numpy as np

from engine import images
from engine.diffusion.borders import Borders
from engine.diffusion.canvas import cut_out
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Picture
from engine.interface import Run, RunContext, Steps
from engine.made import Take
from engine.masks import Box
from engine.tasks.inpaint import Repainted
from protocol.generation import OutpaintParams


def outpaint(run: Run, context: RunContext, studio: Studio, *, take: Take | None = None) -> Steps:
    """One output per image, larger than the picture by what was asked; the picture keeps its pixels.

    Only a rim of `overlap_px` along the enlarged sides may change, to hide the seam. Transparency is laid on white.

    Args:
        take: gets the pictures in the place of outputs.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`; `invalid_params`: the result would be too large.
    """
    return generate(run, context, studio, PipelineKind.INPAINT, _compose, take=take)


def _compose(run: Run, context: RunContext, model: ReadyModel) -> Repainted:
    params = run.params
    assert isinstance(params, OutpaintParams)
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    borders = Borders(params.left, params.top, params.right, params.bottom)
    borders.check(picture.width, picture.height)
    start = borders.blurred(images.on_white(picture))
    kept = np.zeros(start.shape[:2], np.bool_)
    inner = _inner(params, picture)
    if inner is not None:
        kept[inner.slices] = True
    canvas = cut_out(start, ~kept, model.working, margin_px=None, blur_px=params.overlap_px)
    larger = Picture(start, None, picture.depth_bits, picture.origin)
    return Repainted(canvas, params.strength, larger, canvas.image)


def _inner(params: OutpaintParams, picture: Picture) -> Box | None:
    """Where the picture lies in the larger one, less the rim that may change; None if that is all of it."""
    left, top, right, bottom = (
        params.overlap_px if side else 0 for side in (params.left, params.top, params.right, params.bottom)
    )
    width, height = picture.width - left - right, picture.height - top - bottom
    return Box(params.left + left, params.top + top, width, height) if width > 0 and height > 0 else None
