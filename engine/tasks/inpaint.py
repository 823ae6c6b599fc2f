"""Repaint a part of a picture by a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine import images, masks
from engine.diffusion.canvas import Canvas, cut_out
from engine.diffusion.control_pictures import Subject
from engine.diffusion.families import PipelineKind
from engine.diffusion.generate import generate
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Floats, Picture
from engine.interface import EngineError, Run, RunContext, Steps
from engine.masks import Mask
from protocol.errors import ErrorCode
from protocol.generation import InpaintParams


def inpaint(run: Run, context: RunContext, studio: Studio) -> Steps:
    """One output per image, of the size of the picture; outside the mask every pixel keeps its value.

    The model sees the mask and its surroundings at its own size, or the whole picture with `crop` off. What it made is
    blended in within the mask, softly over `mask_blur_px`.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`; `invalid_params`: the mask is empty or of another size.
    """
    return generate(run, context, studio, PipelineKind.INPAINT, _compose)


@dataclass(frozen=True, slots=True)
class Repainted:
    """A part of a picture made anew. Implements `engine.diffusion.scene.Scene`."""

    canvas: Canvas
    strength: float
    picture: Picture
    """Where transparency and depth come from."""

    @property
    def size(self) -> Size:
        return self.canvas.size

    def arguments(self) -> Mapping[str, Any]:
        return {
            "image": images.to_tensor(self.canvas.image),
            "mask_image": torch.from_numpy(self.canvas.model_mask)[None, None],
            "strength": self.strength,
            "width": self.size.width,
            "height": self.size.height,
        }

    @property
    def subject(self) -> Subject:
        return Subject(self.canvas.image, self.canvas.model_mask)

    def guide(self, picture: Floats) -> Floats:
        return self.canvas.seen(picture)

    def finish(self, generated: Floats) -> Picture:
        return Picture(self.canvas.pasted(generated), self.picture.alpha, self.picture.depth_bits, self.picture.origin)


def _compose(run: Run, context: RunContext, model: ReadyModel) -> Repainted:
    params = run.params
    assert isinstance(params, InpaintParams)
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    mask = masks.grow(_mask_of(run, params, picture), params.grow_px)
    area = None
    if params.area is not None:
        area = masks.clipped(params.area, picture.width, picture.height)
        if area is None:
            raise EngineError(ErrorCode.INVALID_PARAMS, "area: lies outside the picture at $.params.area")
        within = np.zeros_like(mask)
        within[area.slices] = mask[area.slices]
        mask = within
    if not mask.any():
        raise EngineError(ErrorCode.INVALID_PARAMS, "mask: is empty, there is nothing to repaint at $.params")
    margin_px = params.crop_margin_px if params.crop else None
    canvas = cut_out(
        picture.rgb,
        mask,
        model.working,
        margin_px=margin_px,
        blur_px=params.mask_blur_px,
        area=area,
        scale=params.scale,
        matches_histograms=params.match_histograms,
    )
    return Repainted(canvas, params.strength, picture)


def _mask_of(run: Run, params: InpaintParams, picture: Picture) -> Mask:
    mask = masks.from_regions(params.regions, picture.width, picture.height)
    if "mask" in run.inputs:
        mask |= masks.for_picture(run.inputs["mask"], picture.width, picture.height)
    return mask
