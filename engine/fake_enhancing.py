"""What the fake engine does to pictures that are to be enhanced: each stage is one of its own tasks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from engine.colour import Warn
from engine.enhancing.stage_params import picture_params, region_params, rework_params
from engine.fake_masks import Mask, ellipse
from engine.fake_product import Inputs, Product
from engine.fake_words import found_in, together
from engine.images import Picture, encode_for
from protocol.editing import BackgroundModel, Clothes
from protocol.enhancing import EnhancedRegion, Enhancing, Moment, Rework
from protocol.generation import EnhanceParams, GenerationParams

Generate: TypeAlias = Callable[[GenerationParams, Inputs, int], Product]
"""What a generating task makes of an image."""
_SUBJECT_RADIUS: Final = 0.4


def enhanced(params: GenerationParams, inputs: Inputs, index: int, warn: Warn, generate: Generate) -> list[Product]:
    """The outputs of one image, numbered as the real engine numbers them.

    Args:
        generate: makes the picture, and what comes in its place in each stage.
    """
    enhancing = params.enhance
    assert enhancing is not None
    others = {name: picture for name, picture in inputs.items() if name not in {"image", "mask"}}
    is_given = isinstance(params, EnhanceParams)
    outputs = enhancing.stages + (not is_given) if enhancing.keep_stages else 1
    made: list[tuple[int, Product]] = []
    if is_given:
        given = inputs["image"]
        product = Product(before=given, after=given, encode=lambda: encode_for(given, params))
    else:
        product = generate(picture_params(params, index), inputs, index)
        made.append((0, product))
    for number, stage in enumerate(_stages(enhancing), start=len(made)):
        asked, own, told = stage(params, product.after, index, warn)
        if asked is None:
            continue
        before = product
        product = generate(asked, {**others, **own}, index)
        done = [*(before.data or {}).get("enhanced", ()), told]
        product = replace(product, data={**(product.data or {}), "enhanced": done})
        made.append((number, product))
    if not enhancing.keep_stages or not made:
        made = [(outputs - 1, product)]
    return [
        replace(each, number=index * outputs + number, image=index, encode=_encoder(each.after, params))
        for number, each in made
    ]


_Asked: TypeAlias = tuple[GenerationParams | None, Mapping[str, Picture], Mapping[str, Any]]
"""Parameters, pictures and what is told of a stage; no parameters where there is nothing to do."""
_Stage: TypeAlias = Callable[[GenerationParams, Picture, int, Warn], _Asked]


def _stages(enhancing: Enhancing) -> Iterator[_Stage]:
    def repainting(number: int, region: EnhancedRegion) -> _Stage:
        return lambda params, picture, index, warn: _repaint(params, number, region, picture, index, warn)

    def reworking(rework: Rework) -> _Stage:
        def stage(params: GenerationParams, picture: Picture, index: int, _warn: Warn) -> _Asked:
            asked = rework_params(params, enhancing, rework, index)
            return asked, {"image": picture}, {"stage": "rework", "strength": asked.strength}

        return stage

    rework = enhancing.rework
    if rework is not None and rework.when is Moment.BEFORE:
        yield reworking(rework)
    for number, region in enumerate(enhancing.regions):
        yield repainting(number, region)
    if rework is not None and rework.when is Moment.AFTER:
        yield reworking(rework)


def _repaint(
    params: GenerationParams, number: int, region: EnhancedRegion, picture: Picture, index: int, warn: Warn
) -> _Asked:
    mask, told = _found(region, picture, warn)
    if not mask.any():
        warn("nothing_found", f"enhance.regions[{number}]: nothing was found; the region is left out")
        return None, {}, {}
    shown = Picture(np.repeat(mask[..., None], 3, axis=2).astype(np.float32))
    asked = region_params(params, region, index)
    told = {"stage": "region", "region": number, **told, "area_px": int(mask.sum())}
    return asked, {"image": picture, "mask": shown}, told


def _found(region: EnhancedRegion, picture: Picture, warn: Warn) -> tuple[Mask, dict[str, Any]]:
    if region.subject is None:
        found = found_in(picture, region)
        return together(found, picture), {"objects": [each.data() for each in found]}
    if region.clothes is not Clothes.ALL and region.subject is not BackgroundModel.U2NET_CLOTH_SEG:
        warn("clothes_unused", f"clothes: {region.subject.value} knows no clothes; the model u2net_cloth_seg does")
    return ellipse(picture, 0.5, 0.5, _SUBJECT_RADIUS), {"subject": "fake"}


def _encoder(picture: Picture, params: GenerationParams) -> Any:
    return lambda: encode_for(picture, params)
