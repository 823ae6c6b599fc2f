"""What the fake engine's generating tasks make. Pure functions of parameters and pictures."""

from functools import partial
from typing import Final

import numpy as np
from PIL import Image

from engine import images
from engine.colour import Warn
from engine.diffusion.sizes import Size, WorkingSize
from engine.fake_masks import Mask, covered, mask_like
from engine.fake_product import Inputs, Product
from engine.images import Picture
from engine.prompting.asked import told_of, written_in
from engine.prompting.expand import Wordsmith
from protocol.generation import (
    GenerationParams,
    ImageToImageParams,
    InpaintParams,
    OutpaintParams,
    TextToImageParams,
)
from protocol.replay import SizeRule
from protocol.seeds import seed_of_image

_SIDE_PX: Final = 64
"""Of the squares that the fake model makes by itself."""


def generated(params: GenerationParams, inputs: Inputs, index: int, warn: Warn, wordsmith: Wordsmith) -> Product:
    """Plain paper of a colour that prompt and seed decide, within the mask or around the picture if there is one."""
    seed = seed_of_image(params.seed or 0, index, varies=params.vary_seed)
    written = written_in(params)
    wording = wordsmith.expand(written, image=index, seed=seed, warn=warn)
    colour = np.random.default_rng([seed, *wording.positive.whole.encode()]).random(3, np.float32)
    before = _canvas(params, inputs)
    painted = np.ones((before.height, before.width), np.bool_)
    if isinstance(params, InpaintParams | OutpaintParams):
        inner = inputs["image"]
        within = np.s_[params.top : params.top + inner.height, params.left : params.left + inner.width]
        painted[within] = _hole(params, inputs) if isinstance(params, InpaintParams) else False
    after = before.with_rgb(np.where(painted[..., None], colour, before.rgb).astype(np.float32))
    encode = partial(images.encode_for, after, params)
    return Product(
        before=before, after=after, encode=encode, seed=seed, data={"model": "fake", **told_of(written, wording)}
    )


def _canvas(params: GenerationParams, inputs: Inputs) -> Picture:
    """What a generating task starts from, in the size of its output."""
    if isinstance(params, TextToImageParams):
        return Picture(np.full((params.height or _SIDE_PX, params.width or _SIDE_PX, 3), 0.5, np.float32))
    picture = inputs["image"]
    if isinstance(params, InpaintParams | OutpaintParams):
        sides = ((params.top, params.bottom), (params.left, params.right), (0, 0))
        if not any(map(sum, sides)):
            return picture
        return Picture(np.pad(images.on_white(picture), sides, mode="edge"))
    if isinstance(params, ImageToImageParams):
        size = (params.width or picture.width, params.height or picture.height)
        if params.upscale is not None:
            size = (int(picture.width * params.upscale), int(picture.height * params.upscale))
        elif params.size_rule is SizeRule.MODEL:
            ruled = WorkingSize(_SIDE_PX, 8).between(Size(*size), 1, 2)
            size = (ruled.width, ruled.height)
        resized = Image.fromarray(images.to_uint8(images.on_white(picture))).resize(size)
        return Picture(images.from_uint8(np.asarray(resized)))
    return picture


def _hole(params: InpaintParams, inputs: Inputs) -> Mask:
    """What is repainted within the picture. How far a mask is grown makes no difference here."""
    picture = inputs["image"]
    hole = covered(picture, params.regions)
    if "mask" in inputs:
        given = inputs["mask"]
        if params.fit_mask:
            rows = np.arange(picture.height) * given.height // picture.height
            columns = np.arange(picture.width) * given.width // picture.width
            given = Picture(given.rgb[rows[:, None], columns])
        hole |= mask_like(picture, given)
    return ~hole if params.invert_mask else hole
