"""Find the object under the clicks or in the box, with Segment Anything or one of its kin."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes, Picture, decode, encode_mask, thumbnail
from engine.interface import Call, EngineError, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.segmentation.embeddings import EmbeddingCache, content_key
from engine.steps import twice
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

    Raises:
        EngineError: `invalid_params`: a point lies outside the picture, or the box does. `model_missing`,
            `bad_model`: of the model that was asked for.
    """
    assert isinstance(run.params, SegmentParams)
    params = run.params
    given: _Input = yield Call(lambda: _read(run.inputs["image"], params.model, context), Where.POOL, "read")
    _check_prompt(params, given.picture)
    network = yield from _use(params.model, residency, plugins or PluginFiles(models_dir=residency.models_dir))
    kept = embeddings.get(given.key)
    embedding = kept if kept is not None else (yield from _embed(network, given.picture, context))
    embeddings.put(given.key, embedding)
    size = (given.picture.height, given.picture.width)
    masks: Sequence[SegmentedMask] = yield from twice(
        Call(lambda: _inferring(lambda: _decode(network, embedding, size, params)), stage="decode")
    )
    context.step(1, 1, progress=0.95, stage="decode")
    context.preview(1, lambda: tinted(given.picture, masks[0].mask))
    for index, answer in enumerate(masks):
        if index >= run.first_image:
            data = {"score": round(answer.score, 4), "area_px": int(answer.mask.sum()), "box": box_around(answer.mask)}
            yield from context.output(index, partial(encode_mask, answer.mask), data=data)


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


def _use(model: SegmentModel, residency: Residency, plugins: PluginFiles) -> Generator[Call, Any, "Segmenter"]:
    def load(path: "Path", device: str) -> "Segmenter":
        from engine.segmentation.loading import load_segmenter

        return load_segmenter(model, path, device)

    if model is SegmentModel.MOBILE_SAM:  # the packaged one
        return (yield from residency.use(model.value, load))
    return (yield from plugins.use(model.value, residency, load))


def _embed(network: "Segmenter", picture: Picture, context: RunContext) -> Generator[Call, Any, "Embedding"]:
    value: Any = yield Call(lambda: _inferring(lambda: network.prepare(picture.rgb)), stage="embed")
    pieces = network.encoder_pieces()
    for number, piece in enumerate(pieces, start=1):
        value = yield from twice(Call(partial(_inferring, partial(piece, value)), stage="embed"))
        context.step(number, len(pieces), progress=0.9 * number / len(pieces), stage="embed")
    return value


def _decode(
    network: "Segmenter", embedding: "Embedding", size: tuple[int, int], params: SegmentParams
) -> "list[SegmentedMask]":
    from engine.segmentation.segmenter import Click, Edges

    clicks = [Click(point.x, point.y, point.include) for point in params.points]
    box = params.box
    edges = None if box is None else Edges(box.x, box.y, box.x + box.width, box.y + box.height)
    return network.decode(embedding, size, clicks, edges, params.count)


def _inferring(work: Callable[[], Any]) -> Any:
    import torch

    with torch.inference_mode():
        return work()


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
