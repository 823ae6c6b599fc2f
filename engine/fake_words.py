"""What the fake engine finds by words: one thing for every name but `nothing`, at a place that the name decides."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from engine import images
from engine.colour import Warn
from engine.fake_masks import Mask, box_of, ellipse
from engine.fake_product import Inputs, Product
from engine.grounding.words import names_in
from engine.images import Picture
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.segmenting import SegmentParams, WordSearch

_NOWHERE: Final = "nothing"
_SCORE: Final = 0.9
_RADIUS: Final = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class FakeFound:
    """One thing."""

    label: str
    mask: Mask

    def data(self) -> dict[str, Any]:
        return {"label": self.label, "score": _SCORE, "box": box_of(self.mask)}


def found_in(picture: Picture, search: WordSearch) -> list[FakeFound]:
    """
    Raises:
        EngineError: `invalid_params`: the text names nothing.
    """
    names = names_in(search.text or "")
    if not names:
        raise EngineError(ErrorCode.INVALID_PARAMS, "text: expected names of things, got none, at $.params")
    found = [FakeFound(name, _place(picture, name)) for name in names if name != _NOWHERE]
    if search.box_threshold >= _SCORE:
        return []
    return found[: search.max_detections] if search.max_detections else found


def together(found: list[FakeFound], picture: Picture) -> Mask:
    """(H, W): what belongs to any of them."""
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for each in found:
        mask |= each.mask
    return mask


def found_by_words(params: SegmentParams, inputs: Inputs, warn: Warn) -> list[Product]:
    """The outputs of `segment` with a text.

    Raises:
        EngineError: see `found_in`.
    """
    picture = inputs["image"]
    found = found_in(picture, params)
    if not found:
        warn("nothing_found", "text: nothing was found that it names, with a score above box_threshold")
    if params.together:
        mask = together(found, picture)
        return [_product(picture, mask, {"objects": [each.data() for each in found], **_shape(mask)})]
    return [
        _product(picture, each.mask, {**each.data(), "found_in": box_of(each.mask), **_shape(each.mask)})
        for each in found
    ]


def _product(picture: Picture, mask: Mask, data: dict[str, Any]) -> Product:
    after = Picture(np.repeat(mask[..., None], 3, axis=2).astype(np.float32))
    return Product(before=picture, after=after, encode=partial(images.encode_mask, mask), data=data)


def _place(picture: Picture, name: str) -> Mask:
    across, down, *_ = hashlib.sha256(name.encode()).digest()
    return ellipse(picture, 0.2 + 0.6 * across / 255, 0.2 + 0.6 * down / 255, _RADIUS)


def _shape(mask: Mask) -> dict[str, Any]:
    return {"area_px": int(mask.sum()), "box": box_of(mask)}
