"""Remove writing: find it, cover the strokes of its letters, fill those from what they stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from engine import images, masks
from engine.images import Bytes
from engine.inpainting.canvas import Canvas
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.masks import Box, Group, Mask
from engine.tasks.fill_holes import JOIN_PX, MOST_HOLES, fill_holes
from engine.text.detect import READER, TextLine
from engine.text.strokes import Corners, find_strokes
from protocol.editing import RemoveTextParams, TextResult
from protocol.params import Region

_DETECTED: Final = 0.3
_FILLED: Final = 0.95
_LOOK_PX: Final = 24
"""Writing stands on something, and the same is close by; further away there are only wrong things to copy."""
_SHARED: Final = 0.3
"""A line belongs to a region that covers at least this share of it, or that it covers as much of."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One thing to remove: a line that was found, or a region that was given with the lines in it."""

    box: Box
    lines: tuple[TextLine, ...]
    is_given: bool

    def fields(self) -> dict[str, Any]:
        """For the output's `data`; `confidence` is None where nothing could be read."""
        confidences = [line.confidence for line in self.lines]
        return {
            "x": self.box.x,
            "y": self.box.y,
            "width": self.box.width,
            "height": self.box.height,
            "text": "\n".join(line.text for line in self.lines),
            "confidence": round(min(confidences), 4) if confidences else None,
        }


@dataclass(frozen=True, slots=True)
class _Found:
    mask: Mask
    targets: tuple[_Target, ...]
    canvas: Canvas | None
    """None if nothing is to be filled."""


def remove_text(run: Run, context: RunContext) -> Steps:
    """Take writing out: one output of the size of the image; transparency is filled like colour.

    Steps of stage `detect` (one), then of stage `fill`: one for each group of strokes that lie close together. The
    output's `data` is `{"regions": [{"x", "y", "width", "height", "text", "confidence"}, ...]}`: what was removed.
    Without any writing the picture comes back unchanged, with the warning `nothing_found`. With `result` mask the
    output is the mask of the strokes instead, and there is no stage `fill`.

    Raises:
        EngineError: `bad_image`.
    """
    params = run.params
    assert isinstance(params, RemoveTextParams)
    if run.first_image > 0:
        return
    found: _Found = yield Call(partial(_find, run, params, context), where=Where.POOL, stage="detect")
    context.step(1, 1, progress=_FILLED if found.canvas is None else _DETECTED, stage="detect")
    data = {"regions": [target.fields() for target in found.targets]}
    if found.canvas is None:
        if not found.targets:
            context.warn("nothing_found", "no writing was found, the mask is empty")
        yield from context.output(0, partial(images.encode_mask, found.mask), data=data)
        return
    if not found.targets:
        context.warn("nothing_found", "no writing was found to remove, the picture is unchanged")
    yield from fill_holes(context, found.canvas, start=_DETECTED, end=_FILLED)
    encode = partial(images.encode_for, found.canvas.result(), params)
    yield from context.output(0, encode, seed=params.seed, data=data)


def _find(run: Run, params: RemoveTextParams, context: RunContext) -> _Found:
    picture = images.decode(run.inputs["image"], warn=context.warn, keep_metadata=params.keep_metadata)
    # As it is seen: writing on transparency has any colour behind it.
    seen = images.to_uint8(images.on_white(picture))
    lines = READER.read(seen)
    if params.regions is None:
        targets = _found_targets(lines, params.min_confidence, picture.width, picture.height)
    else:
        targets = _given_targets(lines, params.regions, picture.width, picture.height)
    mask = np.zeros(seen.shape[:2], np.bool_)
    for target in targets:
        _add_strokes(mask, seen, target, lines, params.grow_px)
    if params.result is TextResult.MASK:
        return _Found(mask, tuple(targets), None)
    groups = masks.groups(mask, join_px=JOIN_PX, most=MOST_HOLES)
    canvas = Canvas(
        picture,
        groups,
        method=params.method,
        feather_px=params.feather_px,
        seed=params.seed,
        look_px=_LOOK_PX,
    )
    return _Found(mask, tuple(targets), canvas)


def _found_targets(lines: Sequence[TextLine], min_confidence: float, width: int, height: int) -> list[_Target]:
    sure = [line for line in lines if line.confidence >= min_confidence]
    boxes = [(line, _bounds(line.corners, width, height)) for line in sure]
    return [_Target(box, (line,), is_given=False) for line, box in boxes if box is not None]


def _given_targets(lines: Sequence[TextLine], regions: Sequence[Region], width: int, height: int) -> list[_Target]:
    targets = []
    for region in regions:
        box = masks.clipped(region, width, height)
        if box is not None:
            inside = tuple(line for line in lines if _share(box, _bounds(line.corners, width, height)) >= _SHARED)
            targets.append(_Target(box, inside, is_given=True))
    return targets


def _add_strokes(mask: Mask, seen: Bytes, target: _Target, lines: Sequence[TextLine], grow_px: int | None) -> None:
    """Add the strokes of a target to `mask`; of a given region, nothing outside it."""
    for line in target.lines:
        others = [other.corners for other in lines if other is not line]
        _paint(mask, find_strokes(seen, line.corners, line.height_px, others, grow_px=grow_px), target)
    if not target.lines:
        box = target.box
        _paint(mask, find_strokes(seen, _corners(box), min(box.width, box.height), grow_px=grow_px), target)


def _paint(mask: Mask, strokes: Group | None, target: _Target) -> None:
    if strokes is None:
        return
    part = strokes.mask
    if target.is_given:
        left, top = target.box.x - strokes.box.x, target.box.y - strokes.box.y
        inside = np.zeros_like(part)
        inside[max(0, top) : max(0, top + target.box.height), max(0, left) : max(0, left + target.box.width)] = True
        part = part & inside
    mask[strokes.box.slices] |= part


def _bounds(corners: Corners, width: int, height: int) -> Box | None:
    left, top = (int(value) for value in np.floor(corners.min(axis=0)))
    right, bottom = (int(value) for value in np.ceil(corners.max(axis=0)))
    if right <= left or bottom <= top:
        return None
    return masks.clipped(Region(x=left, y=top, width=right - left, height=bottom - top), width, height)


def _corners(box: Box) -> Corners:
    right, bottom = box.x + box.width - 1, box.y + box.height - 1
    return np.array([(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom)], np.float32)


def _share(one: Box, other: Box | None) -> float:
    """The area two boxes share, as a share of the smaller."""
    if other is None:
        return 0.0
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(one.width * one.height, other.width * other.height)
