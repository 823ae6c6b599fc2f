"""The things in a picture that words name, each with its mask: boxes by one network, masks by another.

Importing this loads no torch.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.grounding.words import as_read, names_in
from engine.images import Picture
from engine.interface import Call, EngineError, RunContext
from engine.models.files import locate
from engine.models.residency import Residency
from engine.partway import Partway
from engine.plugins.files import PluginFiles
from engine.segmentation.looking import EMBEDDED, decoded, embedded, use_segmenter
from protocol.errors import ErrorCode
from protocol.params import Region
from protocol.segmenting import SegmentModel, WordSearch

if TYPE_CHECKING:
    from pathlib import Path

    from engine.grounding.detector import Detection, Detector, Question
    from engine.segmentation.segmenter import Embedding, Segmenter

DETECTOR: Final = "grounding-dino-tiny"
_DETECTED: Final = 0.4
"""Share of the whole search."""
_STAGE: Final = "detect"
Embed: TypeAlias = Callable[["Segmenter", RunContext], Generator[Call, Any, "Embedding"]]
"""What a model of `segment` makes of the picture, or has made of it before."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundObject:
    """One thing.

    Attributes:
        label: the words that it goes with; "" if none goes with it closely enough.
        score: of the detector, 0..1.
        box: that the detector drew around it.
        mask: (H, W) bool.
    """

    label: str
    score: float
    box: Region
    mask: NDArray[np.bool_]

    def data(self) -> dict[str, Any]:
        """As clients are told of it."""
        return {"label": self.label, "score": round(self.score, 4), "box": self.box.model_dump()}


def find_objects(
    picture: Picture,
    search: WordSearch,
    model: SegmentModel,
    context: RunContext,
    residency: Residency,
    plugins: PluginFiles,
    *,
    embed: Embed | None = None,
) -> Generator[Call, Any, Sequence[FoundObject]]:
    """Detect (stage `detect`, a call for each layer of the network, one step), then cut each box out (stages `embed`
    and `decode`). Use with `yield from`.

    Args:
        search: with a text.
        model: cuts out.
        embed: by default the picture is looked at anew.

    Returns:
        What was found, best first; nothing is no error.

    Raises:
        EngineError: `model_missing`, `bad_model`: of either network; `invalid_params`: the text names nothing, or is
            too long for the detector.
    """
    names = _named(search)
    # Both at first: what is missing is told before anything looks.
    segmenter = yield from use_segmenter(model, residency, plugins)
    detector = yield from plugins.use(DETECTOR, residency, _load_detector)
    targets = yield from _detected(detector, picture, as_read(names), search)
    context.step(1, 1, progress=_DETECTED, stage="detect")
    if not targets:
        return []
    rest = Partway(context, since=_DETECTED)
    embedding = yield from (embedded(segmenter, picture, rest) if embed is None else embed(segmenter, rest))
    found = []
    for number, target in enumerate(targets, start=1):
        answers = yield from decoded(segmenter, embedding, picture, box=target.box)
        found.append(FoundObject(target.label, target.score, target.box, answers[0].mask))
        rest.step(number, len(targets), progress=EMBEDDED + (1 - EMBEDDED) * number / len(targets), stage="decode")
    return found


def bring_finders(
    search: WordSearch, model: SegmentModel, residency: Residency, plugins: PluginFiles
) -> Generator[Call, Any, None]:
    """See that the files a search needs are there, and bring what can be brought. Use with `yield from`.

    Raises:
        EngineError: `model_missing`; `invalid_params`: the text names nothing.
    """
    _named(search)
    if model is SegmentModel.MOBILE_SAM:
        locate(model.value, residency.models_dir)
    else:
        yield from plugins.bring(model.value)
    yield from plugins.bring(DETECTOR)


def together(found: Sequence[FoundObject], picture: Picture) -> NDArray[np.bool_]:
    """(H, W): what belongs to any of them."""
    mask = np.zeros((picture.height, picture.width), np.bool_)
    for each in found:
        mask |= each.mask
    return mask


def _named(search: WordSearch) -> list[str]:
    names = names_in(search.text or "")
    if not names:
        raise EngineError(ErrorCode.INVALID_PARAMS, "text: expected names of things, got none, at $.params")
    return names


class _Target(NamedTuple):
    """What is to be cut out."""

    label: str
    score: float
    box: Region


def _detected(
    detector: "Detector", picture: Picture, text: str, search: WordSearch
) -> Generator[Call, Any, list[_Target]]:
    question: Question = yield Call(partial(detector.prepare, picture.rgb, text), stage=_STAGE)
    sight = yield from detector.look(question)
    found = detector.read(
        sight,
        question,
        (picture.height, picture.width),
        box_threshold=search.box_threshold,
        text_threshold=search.text_threshold,
        most=search.max_detections,
    )
    targets = []
    for each in found:
        box = _within(each, search.grow_box_px, picture)
        if box is not None:
            targets.append(_Target(each.label, each.score, box))
    return targets


def _within(found: "Detection", grow_px: int, picture: Picture) -> Region | None:
    """The whole pixels of a box, its sides moved out, within the picture; None if nothing is left of it."""
    left, top = max(0, round(found.left) - grow_px), max(0, round(found.top) - grow_px)
    right = min(picture.width, round(found.right) + grow_px)
    bottom = min(picture.height, round(found.bottom) + grow_px)
    if left >= right or top >= bottom:
        return None
    return Region(x=left, y=top, width=right - left, height=bottom - top)


def _load_detector(path: "Path", device: str) -> "Detector":
    from engine.grounding.detector import load_detector

    return load_detector(path, device)
