"""What the fake engine's tasks make of their inputs. Pure functions of parameters and pictures."""

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import orjson
from PIL import Image

from engine import images
from engine.colour import Warn
from engine.fake_enhancing import enhanced
from engine.fake_generation import generated
from engine.fake_masks import Mask, box_of, covered, ellipse, mask_like
from engine.fake_product import Inputs, Product
from engine.fake_words import found_by_words
from engine.images import Floats, Picture
from engine.interface import EncodedImage, EngineError
from engine.prompting.expand import Wordsmith
from protocol.editing import (
    BackgroundModel,
    BackgroundResult,
    Clothes,
    DescribeParams,
    DescribeStyle,
    EraseParams,
    RemoveBackgroundParams,
    RemoveTextParams,
    SegmentParams,
    TextResult,
    UpscaleParams,
)
from protocol.errors import ErrorCode
from protocol.generation import GenerationParams
from protocol.params import MAX_SIDE_PX, OutputFormat, Region, TaskParams
from protocol.retouching import AdjustMaskParams, MaskOperation, RestoreFaceParams

_TEXT_CONFIDENCE: Final = 0.99
_BEST_SCORE: Final = 0.95


def make_products(params: TaskParams, inputs: Inputs, warn: Warn, wordsmith: Wordsmith) -> list[Product]:
    """All outputs of a job, in order.

    Raises:
        EngineError: `invalid_params`: the mask has another size than the image, or covers all of it.
    """
    match params:
        case EraseParams():
            return [_erase(params, inputs, warn)]
        case RemoveTextParams():
            return [_remove_text(params, inputs, warn)]
        case UpscaleParams():
            return [_upscale(params, inputs, warn)]
        case RemoveBackgroundParams():
            return [_remove_background(params, inputs, warn)]
        case SegmentParams():
            if params.text is not None:
                return found_by_words(params, inputs, warn)
            for name in params.unused:
                warn("search_unused", f"{name}: counts beside a text alone")
            return [_segment(params, inputs, index) for index in range(params.count)]
        case RestoreFaceParams():
            return [_restore_face(params, inputs)]
        case AdjustMaskParams():
            return [_adjust_mask(params, inputs)]
        case DescribeParams():
            return [_describe(params, inputs)]
        case GenerationParams():
            make = partial(_generated, warn=warn, wordsmith=wordsmith)
            if params.enhance is None:
                return [make(params, inputs, index) for index in range(params.images)]
            images_of = (enhanced(params, inputs, index, warn, make) for index in range(params.images))
            return [product for products in images_of for product in products]
    raise TypeError(f"the fake engine knows no task with {type(params).__name__}")


def _generated(params: GenerationParams, inputs: Inputs, index: int, *, warn: Warn, wordsmith: Wordsmith) -> Product:
    return generated(params, inputs, index, warn, wordsmith)


def _erase(params: EraseParams, inputs: Inputs, warn: Warn) -> Product:
    picture = inputs["image"]
    mask = covered(picture, params.regions)
    if "mask" in inputs:
        mask |= mask_like(picture, inputs["mask"])
    if not mask.any():
        warn("empty_mask", "the mask is empty: there was nothing to erase, the picture is unchanged")
    if mask.all():
        raise EngineError(ErrorCode.INVALID_PARAMS, "mask: covers the whole picture at $.params")
    after = _filled(picture, mask)
    return Product(
        before=picture,
        after=after,
        encode=partial(images.encode_for, after, params),
        seed=params.seed,
    )


def _remove_text(params: RemoveTextParams, inputs: Inputs, warn: Warn) -> Product:
    picture = inputs["image"]
    width, height = picture.width, picture.height
    # Writing is wherever the fake looks for it: in a strip at the lower edge, as subtitles are.
    strip = Region(x=width // 4, y=height * 3 // 4, width=max(1, width // 2), height=max(1, height // 8))
    regions = (strip,) if params.regions is None else tuple(r for r in params.regions if covered(picture, (r,)).any())
    if params.min_confidence > _TEXT_CONFIDENCE and params.regions is None:
        regions = ()
    if not regions:
        warn("nothing_found", "no writing was found to remove, the picture is unchanged")
    mask = covered(picture, regions)
    after = _filled(picture, mask) if not mask.all() else picture
    found = [{**region.model_dump(), "text": "fake", "confidence": _TEXT_CONFIDENCE} for region in regions]
    if params.result is TextResult.MASK:
        shown = Picture(np.repeat(mask[..., None], 3, axis=2).astype(np.float32))
        return Product(before=picture, after=shown, encode=partial(images.encode_mask, mask), data={"regions": found})
    encode = partial(images.encode_for, after, params)
    return Product(before=picture, after=after, encode=encode, seed=params.seed, data={"regions": found})


def _upscale(params: UpscaleParams, inputs: Inputs, warn: Warn) -> Product:
    picture = inputs["image"]
    largest = MAX_SIDE_PX / max(picture.width, picture.height)
    if params.factor > largest:
        warn("upscale_capped", f"factor {params.factor:g} would exceed {MAX_SIDE_PX} px a side; {largest:.3g} was used")
    factor = min(params.factor, largest)
    size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
    enlarged = Image.fromarray(images.to_uint8(picture.rgb)).resize(size, Image.Resampling.BILINEAR)
    alpha = picture.alpha
    if alpha is not None:
        wide = Image.fromarray(images.to_uint8(alpha)).resize(size, Image.Resampling.BILINEAR)
        alpha = images.from_uint8(np.asarray(wide))
    after = replace(picture, rgb=images.from_uint8(np.asarray(enlarged)), alpha=alpha)
    encode = partial(images.encode_for, after, params)
    return Product(before=picture, after=after, encode=encode, data={"model": "fake", "factor": round(factor, 4)})


def _remove_background(params: RemoveBackgroundParams, inputs: Inputs, warn: Warn) -> Product:
    picture = inputs["image"]
    subject = ellipse(picture, 0.5, 0.5, 0.4).astype(np.float32)
    if params.clothes is not Clothes.ALL and params.model is not BackgroundModel.U2NET_CLOTH_SEG:
        warn("clothes_unused", f"clothes: {params.model.value} knows no clothes; the model u2net_cloth_seg does")
    is_cutout = params.result is BackgroundResult.CUTOUT
    if is_cutout and params.format is OutputFormat.JPEG:
        warn("alpha_flattened", "JPEG has no transparency: the cut-out was laid on white")
    after = replace(picture, alpha=subject) if is_cutout else Picture(np.repeat(subject[..., None], 3, axis=2))
    encode = partial(images.encode_for, after, params)
    if not is_cutout and params.format is OutputFormat.PNG:
        encode = partial(images.encode_mask, subject)
    return Product(before=picture, after=after, encode=encode, data={"result": params.result.value, "model": "fake"})


def _segment(params: SegmentParams, inputs: Inputs, index: int) -> Product:
    picture = inputs["image"]
    if params.box is not None:
        x, y = params.box.x + params.box.width / 2, params.box.y + params.box.height / 2
    else:
        click = next(point for point in params.points if point.include)
        x, y = click.x, click.y
    mask = ellipse(picture, x / picture.width, y / picture.height, 0.15 * (index + 1))
    after = Picture(np.repeat(mask[..., None], 3, axis=2).astype(np.float32))
    data = {"score": round(_BEST_SCORE - 0.1 * index, 4), "area_px": int(mask.sum()), "box": box_of(mask)}
    return Product(before=picture, after=after, encode=partial(images.encode_mask, mask), data=data)


def _restore_face(params: RestoreFaceParams, inputs: Inputs) -> Product:
    """A face is in the middle of every picture."""
    picture = inputs["image"]
    face = ellipse(picture, 0.5, 0.5, 0.2)
    after = picture.with_rgb(np.where(face[..., None], np.sqrt(picture.rgb), picture.rgb).astype(np.float32))
    around = box_of(face)
    faces = [] if around is None else [{**around, "confidence": 0.99}]
    encode = partial(images.encode_for, after, params)
    return Product(before=picture, after=after, encode=encode, data={"model": "fake", "faces": faces})


def _adjust_mask(params: AdjustMaskParams, inputs: Inputs) -> Product:
    before = inputs["mask"]
    mask: Mask = before.rgb.mean(axis=2) * 255 >= params.threshold - 0.5
    if params.operation is MaskOperation.REVERSE:
        mask = ~mask
    else:
        # A cross of the asked for size, whatever the shape.
        is_kept = params.operation is MaskOperation.EXPAND
        grown = mask == is_kept
        for axis, side in enumerate(mask.shape):
            for by_px in range(1, min(params.by_px, side - 1) + 1):
                ahead, behind = [slice(None)] * 2, [slice(None)] * 2
                ahead[axis], behind[axis] = slice(by_px, None), slice(None, -by_px)
                grown[tuple(ahead)] |= mask[tuple(behind)] == is_kept
                grown[tuple(behind)] |= mask[tuple(ahead)] == is_kept
        mask = grown == is_kept
    after = Picture(np.repeat(mask[..., None], 3, axis=2).astype(np.float32))
    data = {"area_px": int(mask.sum()), "box": box_of(mask)}
    return Product(before=before, after=after, encode=partial(images.encode_mask, mask), data=data)


def _describe(params: DescribeParams, inputs: Inputs) -> Product:
    picture = inputs["image"]
    shape = "wide" if picture.width > picture.height else "tall" if picture.width < picture.height else "square"
    light = "bright" if float(picture.rgb.mean()) >= 0.5 else "dark"
    tags = [{"tag": tag, "confidence": 1.0, "source": "fake"} for tag in (shape, light)]
    data: dict[str, Any] = {"tags": tags[: params.max_tags], "faces": [], "text": [], "colours": []}
    if params.style is not DescribeStyle.TAGS:
        data["caption"] = f"a {light}, {shape} {params.style}"
    document = EncodedImage(content=orjson.dumps(data), media_type="application/json")
    return Product(before=picture, after=picture, encode=lambda: document, data=data)


def _filled(picture: Picture, mask: Mask) -> Picture:
    """The mask painted over with the mean colour of everything else."""
    if not mask.any():
        return picture
    rgb: Floats = picture.rgb.copy()
    rgb[mask] = picture.rgb[~mask].mean(axis=0)
    return picture.with_rgb(rgb)
