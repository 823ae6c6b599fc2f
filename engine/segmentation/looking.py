"""Having a model of `segment` look at a picture and answer, as calls of a job. Importing this loads no torch."""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from engine.images import Picture
from engine.interface import Call, RunContext
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.steps import twice
from protocol.params import Point, Region
from protocol.segmenting import SegmentModel

if TYPE_CHECKING:
    from pathlib import Path

    from engine.segmentation.segmenter import Embedding, SegmentedMask, Segmenter

EMBEDDED: Final = 0.9
"""Share of the whole look."""


def use_segmenter(model: SegmentModel, residency: Residency, plugins: PluginFiles) -> Generator[Call, Any, "Segmenter"]:
    """The network of a model, loaded if it must be. Use with `yield from`.

    Raises:
        EngineError: `model_missing`, `bad_model`.
    """

    def load(path: "Path", device: str) -> "Segmenter":
        from engine.segmentation.loading import load_segmenter

        return load_segmenter(model, path, device)

    if model is SegmentModel.MOBILE_SAM:  # the packaged one
        return (yield from residency.use(model.value, load))
    return (yield from plugins.use(model.value, residency, load))


def embedded(network: "Segmenter", picture: Picture, context: RunContext) -> Generator[Call, Any, "Embedding"]:
    """What the network makes of a picture; each piece of its encoder is a device call of stage `embed` and a step."""
    value: Any = yield Call(lambda: _inferring(lambda: network.prepare(picture.rgb)), stage="embed")
    pieces = network.encoder_pieces()
    for number, piece in enumerate(pieces, start=1):
        value = yield from twice(Call(partial(_inferring, partial(piece, value)), stage="embed"))
        context.step(number, len(pieces), progress=EMBEDDED * number / len(pieces), stage="embed")
    return value


def decoded(
    network: "Segmenter",
    embedding: "Embedding",
    picture: Picture,
    *,
    points: Sequence[Point] = (),
    box: Region | None = None,
    count: int = 1,
) -> Generator[Call, Any, "list[SegmentedMask]"]:
    """The best masks for a prompt, a device call of stage `decode`; see `Segmenter.decode`."""

    def decode() -> "list[SegmentedMask]":
        from engine.segmentation.segmenter import Click, Edges

        clicks = [Click(point.x, point.y, point.include) for point in points]
        edges = None if box is None else Edges(box.x, box.y, box.x + box.width, box.y + box.height)
        return network.decode(embedding, (picture.height, picture.width), clicks, edges, count)

    answers: list[SegmentedMask] = yield from twice(Call(lambda: _inferring(decode), stage="decode"))
    return answers


def _inferring(work: Callable[[], Any]) -> Any:
    import torch

    with torch.inference_mode():
        return work()
