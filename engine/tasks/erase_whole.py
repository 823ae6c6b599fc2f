"""Remove what is masked with one model, part by part of the picture or all at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from engine import images, masks
from engine.images import Bytes, Picture
from engine.inpainting.base import NothingToFillFrom
from engine.inpainting.descriptor import EraseModelSpec, EraseNetwork, EraseOptions
from engine.inpainting.erasers import SPECS, Erasers
from engine.inpainting.hd_strategy import MASKED, HdOptions, Part, Shown, finish, parts, prepare
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.masks import Mask
from protocol.erasing import EraseParams

_READ: Final = 0.05
_FILLED: Final = 0.95
_BITS: Final = 8
"""What models are shown of each colour."""
_NOTHING: Final = "all that the model was shown of a part is masked: there was nothing to fill it from, it is unchanged"


def erase_whole(run: Run, context: RunContext, erasers: Erasers) -> Steps:
    """Fill all that is masked with the model asked for: one output of the size of the image, with its transparency.

    A step is one part of the picture, see `hd_strategy`; a model that goes in steps of its own tells each of them.

    Raises:
        EngineError: `bad_image`; `invalid_params`: the mask has another size; what `Erasers.use` raises.
    """
    params = run.params
    assert isinstance(params, EraseParams)
    assert params.model is not None
    spec = SPECS[params.model]
    job: WholeErase = yield Call(partial(_open, run, params, spec, context), where=Where.POOL, stage="read")
    if job.is_empty:
        context.warn("empty_mask", "the mask is empty: there was nothing to erase, the picture is unchanged")
    else:
        network = yield from erasers.use(spec)
        with erasers.residency.in_use(network):
            yield from _fill(context, job, network, params)
    encode = partial(_encode, job, params)
    yield from context.output(0, encode, seed=params.seed, data={"model": params.model.value})


class WholeErase:
    """The picture as it was, what covers it, and the picture as it is now. Not for two threads at a time.

    Args:
        mask: (H, W); what is erased.
    """

    def __init__(self, picture: Picture, mask: Mask, spec: EraseModelSpec, params: EraseParams) -> None:
        self._picture = picture
        self._mask = mask
        self._spec = spec
        self._keep_unmasked = params.keep_unmasked
        self._feather_px = params.feather_px
        self._image: Bytes = images.to_uint8(picture.rgb)
        # The soft edge is repainted too, for it is a mixture of old and new.
        repainted = masks.feather(mask, params.feather_px) > 0 if params.feather_px else mask
        self._hole: Bytes = repainted.astype(np.uint8) * np.uint8(MASKED)
        self._now: Bytes = self._image.copy()
        self.is_empty = not mask.any()
        self.parts = () if self.is_empty else parts(self._hole, spec, HdOptions.of(params))

    def shown(self, part: Part) -> Shown:
        """What the model is shown of a part."""
        return prepare(self._image, self._hole, part, self._spec)

    def paste(self, made: Bytes, shown: Shown, part: Part) -> None:
        """Put what the model made of a part into the picture."""
        self._now[part.box.slices] = finish(
            made, shown, self._image, self._hole, part, keep_unmasked=self._keep_unmasked
        )

    def thumbnail(self) -> Bytes:
        """A small copy of the picture as it is now, for a preview."""
        return images.thumbnail(self._now)

    def result(self) -> Picture:
        """The picture as it is now; with `keep_unmasked` exactly as it was outside the mask and its soft edge."""
        rgb = images.from_uint8(self._now)
        is_exact = self._picture.depth_bits == _BITS and not self._feather_px
        if self._keep_unmasked and not is_exact:
            rgb = masks.paste_back(self._picture.rgb, rgb, self._mask, feather_px=self._feather_px)
        return self._picture.with_rgb(rgb)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """How far the whole job is when the model says how far it is with a part."""

    context: RunContext
    index: int
    count: int
    start: float
    share: float

    def tell(self, done: int, of: int) -> None:
        progress = self.start + self.share * done / of
        self.context.step(self.index * of + done, self.count * of, progress=min(progress, _FILLED), stage="fill")


def _open(run: Run, params: EraseParams, spec: EraseModelSpec, context: RunContext) -> WholeErase:
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    mask = masks.from_regions(params.regions, picture.width, picture.height)
    if "mask" in run.inputs:
        mask |= masks.for_picture(run.inputs["mask"], picture.width, picture.height)
    return WholeErase(picture, masks.grow(mask, params.grow_px), spec, params)


def _fill(context: RunContext, job: WholeErase, network: EraseNetwork, params: EraseParams) -> Steps:
    area = sum(_area(part) for part in job.parts)
    start, had_nothing = _READ, False
    for index, part in enumerate(job.parts):
        share = (_FILLED - _READ) * _area(part) / area
        course = _Course(context=context, index=index, count=len(job.parts), start=start, share=share)
        steps = _Steps(course.tell)
        shown: Shown = yield Call(partial(job.shown, part), where=Where.POOL, stage="crop")
        try:
            made: Bytes = yield from network(shown.image, shown.mask, _options(params, steps))
        except NothingToFillFrom:
            made, had_nothing = shown.image, True
        wants_preview = context.wants_previews
        paste = partial(_paste, job, made, shown, part, wants_preview=wants_preview)
        preview: Bytes | None = yield Call(paste, where=Where.POOL, stage="paste")
        if not steps.were_told:
            course.tell(1, 1)
        if preview is not None:
            context.preview(index + 1, partial(np.asarray, preview))
        start += share
    if had_nothing:
        context.warn("nothing_to_fill_from", _NOTHING)


class _Steps:
    """Passes a model's own steps on, and notes whether it has any."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell
        self.were_told = False

    def __call__(self, done: int, of: int) -> None:
        self.were_told = True
        self._tell(done, of)


def _options(params: EraseParams, on_step: Callable[[int, int], None]) -> EraseOptions:
    return EraseOptions(
        method=params.method,
        fill_radius_px=params.fill_radius_px,
        ldm_steps=params.ldm_steps,
        ldm_sampler=params.ldm_sampler,
        zits_wireframe=params.zits_wireframe,
        seed=params.seed,
        on_step=on_step,
    )


def _paste(job: WholeErase, made: Bytes, shown: Shown, part: Part, *, wants_preview: bool) -> Bytes | None:
    job.paste(made, shown, part)
    # Made here, not in the preview: the next part goes on writing to the picture.
    return job.thumbnail() if wants_preview else None


def _encode(job: WholeErase, params: EraseParams) -> EncodedImage:
    return images.encode_for(job.result(), params)


def _area(part: Part) -> int:
    return part.box.width * part.box.height
