"""Find objects with Segment Anything or one of its kin: under clicks, in a box, or wherever words are seen."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.grounding.finding import FoundObject, find_objects, together
from engine.images import Bytes, Picture, decode, encode_mask, thumbnail
from engine.interface import Call, EngineError, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.segmentation.embeddings import EmbeddingCache, content_key
from engine.segmentation.looking import decoded, embedded, use_segmenter
from protocol.errors import ErrorCode
from protocol.segmenting import SegmentModel, SegmentParams

if TYPE_CHECKING:
    from pathlib import Path

    from engine.segmentation.segmenter import Embedding, SegmentedMask, Segmenter

_TINT: Final = np.array([1.0, 0.25, 0.25], np.float32)


@dataclass(frozen=True, slots=True)
class _Input:
    """The picture, and the key of its embedding."""

    picture: Picture
    key: str


def segment(
    run: Run,
    context: RunContext,
    residency: Residency,
    embeddings: "EmbeddingCache[Embedding]",
    plugins: PluginFiles | None = None,
) -> Steps:
    """Read; encode the picture in pieces, unless an embedding of it is kept; decode the prompt; keep the masks.

    Each piece of the encoder is a device call of stage `embed` and a step, the decoder one of stage `decode`. Output
    `n` is the n-th best mask; its data tell `score`, `area_px` and the `box` around the mask (None if it is empty).

    With a text the objects are first detected; see `engine.grounding.finding.find_objects`. Output 0 is then the mask
    of all of them, its data with `objects`; or output `n` is the n-th best, its data with `label` and `found_in`.

    Raises:
        EngineError: `invalid_params`: a point lies outside the picture, or the box does; the text names nothing.
            `model_missing`, `bad_model`: of the model that was asked for, or of the detector.

    Warns:
        nothing_found: nothing the text names; the mask of all is empty then.
        search_unused: what counts beside a text alone was asked for without one.
    """
    assert isinstance(run.params, SegmentParams)
    params = run.params
    given: _Input = yield Call(lambda: _read(run.inputs["image"], params.model, context), Where.POOL, "read")
    files = plugins or PluginFiles(models_dir=residency.models_dir)
    if params.text is not None:
        yield from _search(run, context, params, given, residency, embeddings, files)
        return
    for name in params.unused:
        context.warn("search_unused", f"{name}: counts beside a text alone")
    _check_prompt(params, given.picture)
    network = yield from use_segmenter(params.model, residency, files)
    embedding = yield from _embed(network, context, given, embeddings)
    masks: Sequence[SegmentedMask] = yield from decoded(
        network, embedding, given.picture, points=params.points, box=params.box, count=params.count
    )
    context.step(1, 1, progress=0.95, stage="decode")
    context.preview(1, lambda: tinted(given.picture, masks[0].mask))
    for index, answer in enumerate(masks):
        if index >= run.first_image:
            data = {"score": round(answer.score, 4), **_shape(answer.mask)}
            yield from context.output(index, partial(encode_mask, answer.mask), data=data)


def _search(
    run: Run,
    context: RunContext,
    params: SegmentParams,
    given: _Input,
    residency: Residency,
    embeddings: "EmbeddingCache[Embedding]",
    plugins: PluginFiles,
) -> Steps:
    """By words."""

    def embed(network: "Segmenter", rest: RunContext) -> "Generator[Call, Any, Embedding]":
        return _embed(network, rest, given, embeddings)

    found: Sequence[FoundObject] = yield from find_objects(
        given.picture, params, params.model, context, residency, plugins, embed=embed
    )
    if not found:
        context.warn("nothing_found", "text: nothing was found that it names, with a score above box_threshold")
    mask = together(found, given.picture)
    context.preview(1, lambda: tinted(given.picture, mask))
    if params.together:
        data = {"objects": [each.data() for each in found], **_shape(mask)}
        yield from context.output(0, partial(encode_mask, mask), data=data)
        return
    for index, each in enumerate(found):
        if index >= run.first_image:
            data = {**each.data(), "found_in": each.box.model_dump(), **_shape(each.mask)}
            yield from context.output(index, partial(encode_mask, each.mask), data=data)


def _embed(
    network: "Segmenter", context: RunContext, given: _Input, embeddings: "EmbeddingCache[Embedding]"
) -> "Generator[Call, Any, Embedding]":
    """What the network makes of the picture, or has made of it before."""
    kept = embeddings.get(given.key)
    embedding = kept if kept is not None else (yield from embedded(network, given.picture, context))
    embeddings.put(given.key, embedding)
    return embedding


def _shape(mask: NDArray[np.bool_]) -> dict[str, Any]:
    return {"area_px": int(mask.sum()), "box": box_around(mask)}


def box_around(mask: NDArray[np.bool_]) -> dict[str, int] | None:
    """The smallest rectangle around what is true in (H, W), with the names of a `Region`; None if nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return {"x": left, "y": top, "width": int(columns[-1]) - left + 1, "height": int(rows[-1]) - top + 1}


def tinted(picture: Picture, mask: NDArray[np.bool_]) -> Bytes:
    """A thumbnail with the object tinted: (h, w, 3) uint8."""
    weight = mask[..., None].astype(np.float32) * np.float32(0.5)
    return thumbnail(picture.rgb * (1 - weight) + _TINT * weight)


def _read(file: "Path", model: SegmentModel, context: RunContext) -> _Input:
    return _Input(decode(file, warn=context.warn), content_key(file, model.value))


def _check_prompt(params: SegmentParams, picture: Picture) -> None:
    width, height = picture.width, picture.height
    for number, point in enumerate(params.points):
        if point.x >= width or point.y >= height:
            at = f"$.params.points[{number}]"
            message = f"points: expected x below {width} and y below {height}, got {point.x:g}, {point.y:g} at {at}"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
    box = params.box
    if box is not None and (box.x >= width or box.y >= height or box.x + box.width <= 0 or box.y + box.height <= 0):
        message = f"box: expected one that overlaps the picture of {width} x {height} px, at $.params.box"
        raise EngineError(ErrorCode.INVALID_PARAMS, message)
