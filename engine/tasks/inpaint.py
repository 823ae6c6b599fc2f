"""Repaint a part of a picture by a prompt."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import torch

from engine import images, masks
from engine.diffusion.borders import Borders
from engine.diffusion.canvas import Canvas, cut_out
from engine.diffusion.control_pictures import Subject
from engine.diffusion.families import PipelineKind
from engine.diffusion.filling import filled
from engine.diffusion.generate import generate
from engine.diffusion.scene import Scene
from engine.diffusion.sizes import Size
from engine.diffusion.studio import ReadyModel, Studio
from engine.images import Floats, Picture
from engine.interface import Call, EngineError, Run, RunContext, Steps, Where
from engine.made import Take
from engine.masks import Box, Mask
from engine.plugins.files import PluginFiles
from engine.tasks.upscale import enlarge
from protocol.errors import ErrorCode
from protocol.generation import InpaintParams
from protocol.holes import Fill, SoftEdge, Start
from protocol.retouching import MaskShape

_MOST_FACTOR: Final = 4.0
"""By which Real-ESRGAN enlarges; the rest is done by Lanczos."""


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """A picture, and (H, W) what of it is to be repainted, before that is grown and turned round."""

    picture: Picture
    mask: Mask


Read: TypeAlias = Callable[[], Marked]
"""On the side pool."""


def inpaint(
    run: Run,
    context: RunContext,
    studio: Studio,
    plugins: PluginFiles | None = None,
    *,
    read: Read | None = None,
    take: Take | None = None,
) -> Steps:
    """One output per image, of the size of the picture and what is added to its sides.

    The model sees the mask and its surroundings at its own size, or the whole picture with `crop` off. What it made is
    blended in softly over `mask_blur_px`, within the mask unless the request says otherwise; every other pixel keeps
    its value, unless `keep_unmasked` is off. With `upscale_model` the calls and steps of the task `upscale` come first,
    where they are needed.

    Args:
        read: gives the picture and its mask; by default the request's are read.
        take: gets the pictures in the place of outputs.

    Raises:
        EngineError: see `engine.diffusion.generate.generate`; `invalid_params`: the mask is empty or of another size.
    """
    params = run.params
    assert isinstance(params, InpaintParams)
    develop = None if params.upscale_model is None else partial(_enlarged, params, context, studio, plugins)
    compose = partial(_compose, read or partial(_read, run, params, context))
    return generate(run, context, studio, PipelineKind.INPAINT, compose, develop=develop, take=take)


def shaped(mask: Mask, params: InpaintParams) -> Mask:
    """The mask grown and turned round as asked."""
    mask = masks.moved(mask, params.grow_px, is_box=params.grow_shape is MaskShape.BOX)
    return ~mask if params.invert_mask else mask


@dataclass(frozen=True, slots=True)
class Repainted:
    """A part of a picture made anew. Implements `engine.diffusion.scene.Scene`."""

    canvas: Canvas
    strength: float
    picture: Picture
    """Where transparency and depth come from."""
    start: Floats
    """(size.height, size.width, 3): what the model starts from."""

    @property
    def size(self) -> Size:
        return self.canvas.size

    def arguments(self) -> Mapping[str, Any]:
        return {
            "image": images.to_tensor(self.start),
            "mask_image": torch.from_numpy(self.canvas.model_mask)[None, None],
            "strength": self.strength,
            "width": self.size.width,
            "height": self.size.height,
        }

    @property
    def subject(self) -> Subject:
        return Subject(self.canvas.image, self.canvas.model_mask)

    @property
    def whole(self) -> Size:
        height, width = self.canvas.original.shape[:2]
        return Size(width, height)

    def guide(self, picture: Floats) -> Floats:
        return self.canvas.seen(picture)

    def finish(self, generated: Floats) -> Picture:
        return Picture(self.canvas.pasted(generated), self.picture.alpha, self.picture.depth_bits, self.picture.origin)


def _compose(read: Read, run: Run, _context: RunContext, model: ReadyModel) -> Repainted:
    params, marked = run.params, read()
    assert isinstance(params, InpaintParams)
    picture, mask = marked.picture, shaped(marked.mask, params)
    borders = Borders(params.left, params.top, params.right, params.bottom)
    if borders:
        borders.check(picture.width, picture.height)
        wider = borders.repeated(images.on_white(picture))
        picture, mask = replace(picture, rgb=wider, alpha=None), borders.masked(mask)
    area = _area_of(params, picture)
    if area is not None:
        within = np.zeros_like(mask)
        within[area.slices] = mask[area.slices]
        mask = within
    if not mask.any():
        raise EngineError(ErrorCode.INVALID_PARAMS, "mask: is empty, there is nothing to repaint at $.params")
    canvas = cut_out(
        picture.rgb,
        mask,
        model.working,
        margin_px=params.crop_margin_px if params.crop else None,
        blur_px=params.mask_blur_px,
        area=area,
        share=params.context,
        scale=params.scale,
        matches_histograms=params.match_histograms,
        is_soft_outside=params.soft_edge is SoftEdge.OUTSIDE,
        keeps_unmasked=params.keep_unmasked,
    )
    return Repainted(canvas, params.strength, picture, _start_of(canvas, params))


def _read(run: Run, params: InpaintParams, context: RunContext) -> Marked:
    """The picture of the request, with its mask and regions."""
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    mask = masks.from_regions(params.regions, picture.width, picture.height)
    if "mask" in run.inputs:
        mask |= masks.for_picture(run.inputs["mask"], picture.width, picture.height, fits=params.fit_mask)
    return Marked(picture, mask)


def _area_of(params: InpaintParams, picture: Picture) -> Box | None:
    """The part of the picture that is worked on alone, if there is one."""
    if params.area is None:
        return None
    area = masks.clipped(params.area, picture.width, picture.height)
    if area is None:
        raise EngineError(ErrorCode.INVALID_PARAMS, "area: lies outside the picture at $.params.area")
    return area


def _start_of(canvas: Canvas, params: InpaintParams) -> Floats:
    """What the model starts from: the part it sees, its hole filled as asked."""
    if params.fill is Fill.ORIGINAL or params.start is Start.NOISE:
        return canvas.image
    return filled(canvas.image, canvas.model_mask > 0)


def _enlarged(
    params: InpaintParams, context: RunContext, studio: Studio, plugins: PluginFiles | None, scene: Scene
) -> Generator[Call, Any, Scene]:
    """The scene, with the part that the model sees enlarged by Real-ESRGAN if it is smaller than the model's size."""
    assert isinstance(scene, Repainted)
    assert params.upscale_model is not None
    canvas = scene.canvas
    factor = max(canvas.size.width / canvas.box.width, canvas.size.height / canvas.box.height)
    if factor <= 1:
        return scene
    part = Picture(np.ascontiguousarray(canvas.original[canvas.box.slices]))
    # No share of the job: the steps that follow are what takes its time.
    larger = yield from enlarge(
        part, min(factor, _MOST_FACTOR), params.upscale_model, studio.residency, plugins, context, until=0.0
    )
    canvas = replace(canvas, enlarged=larger.rgb)
    start: Floats = yield Call(partial(_start_of, canvas, params), Where.POOL, "resize")
    return replace(scene, canvas=canvas, start=start)
