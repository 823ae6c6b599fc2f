"""Say what can be seen in a picture: tags, faces, writing, colours. Each tag names what it comes from."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from engine.images import Picture, decode, on_white, to_uint8
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.models.files import locate
from engine.models.residency import Residency
from engine.steps import twice
from protocol.editing import DescribeParams

if TYPE_CHECKING:
    from engine.describing.colours import Colour
    from engine.describing.efficientnet import EfficientNetLite
    from engine.describing.faces import Face, FaceFinder
    from engine.text.detect import TextLine

_CLASSIFIER: Final = "efficientnet-lite0"
_CLASS_NAMES: Final = "imagenet-names"
_FACE_FINDER: Final = "centerface"
_LEAST_CLASS_CONFIDENCE: Final = 0.1
_LEAST_TEXT_CONFIDENCE: Final = 0.8
"""Below this the reader sees letters in twigs and shadows, as it does in single ones at any confidence."""
_LEAST_TEXT_CHARACTERS: Final = 2
_STAGES: Final = ("classify", "faces", "text", "colours")


def describe(run: Run, context: RunContext, residency: Residency) -> Steps:
    """Read; classify and find faces (device calls); read writing and find colours (side pool); tell.

    Output 0 is a JSON document, and its data the same: `tags` (tag, confidence, source), `faces`, `text` and
    `colours`. Transparent parts are looked at as white.
    """
    assert isinstance(run.params, DescribeParams)
    picture: Picture = yield Call(lambda: decode(run.inputs["image"], warn=context.warn), Where.POOL, "read")
    rgb = on_white(picture)
    image = to_uint8(rgb)
    classifier = yield from residency.use(_CLASSIFIER, _load_classifier)
    names: list[str] = yield Call(lambda: _read_names(locate(_CLASS_NAMES, residency.models_dir)), Where.POOL, "read")
    likely: Any = yield from twice(Call(lambda: classifier.classify(rgb), stage="classify"))
    _tell(context, 1)
    finder = yield from residency.use(_FACE_FINDER, _load_finder)
    faces: list[Face] = yield Call(lambda: finder.find(image), stage="faces")
    _tell(context, 2)
    lines: list[TextLine] = yield Call(lambda: _read_text(image), Where.POOL, "text")
    _tell(context, 3)
    colours: list[Colour] = yield Call(lambda: _find_colours(rgb), Where.POOL, "colours")
    _tell(context, 4)

    tags = [
        {"tag": names[place], "confidence": round(float(likely[place]), 4), "source": _CLASSIFIER}
        for place in np.argsort(-likely, kind="stable")
        if likely[place] >= _LEAST_CLASS_CONFIDENCE
    ]
    if faces:
        tags.append({"tag": "face", "confidence": faces[0].confidence, "source": _FACE_FINDER})
    if lines:
        surest = max(line.confidence for line in lines)
        tags.append({"tag": "text", "confidence": round(surest, 4), "source": "rapidocr"})
    tags.sort(key=lambda tag: -float(tag["confidence"]))
    document = {
        "tags": tags[: run.params.max_tags],
        "faces": [asdict(face) for face in faces],
        "text": [_line(line) for line in lines],
        "colours": [asdict(colour) for colour in colours],
    }
    yield from context.output(0, lambda: _encode(document), data=document)


def _tell(context: RunContext, step: int) -> None:
    context.step(step, len(_STAGES), progress=0.95 * step / len(_STAGES), stage=_STAGES[step - 1])


def _load_classifier(path: Path, device: str) -> "EfficientNetLite":
    from engine.describing.efficientnet import load_efficientnet

    return load_efficientnet(path, device)


def _load_finder(path: Path, _device: str) -> "FaceFinder":
    from engine.describing.faces import FaceFinder

    return FaceFinder(path)


def _read_names(path: Path) -> list[str]:
    names: list[str] = json.loads(path.read_text(encoding="utf-8"))
    return names


def _read_text(image: "np.ndarray[Any, np.dtype[np.uint8]]") -> "list[TextLine]":
    from engine.text.detect import READER

    return [
        line
        for line in READER.read(image)
        if line.confidence >= _LEAST_TEXT_CONFIDENCE and len(line.text.strip()) >= _LEAST_TEXT_CHARACTERS
    ]


def _find_colours(rgb: "np.ndarray[Any, np.dtype[np.float32]]") -> "list[Colour]":
    from engine.describing.colours import main_colours

    return main_colours(rgb)


def _line(line: "TextLine") -> dict[str, Any]:
    left, top = (round(float(value)) for value in line.corners.min(axis=0))
    right, bottom = (round(float(value)) for value in line.corners.max(axis=0))
    box = {"x": left, "y": top, "width": max(1, right - left), "height": max(1, bottom - top)}
    return {"text": line.text, "confidence": round(line.confidence, 4), "box": box}


def _encode(document: dict[str, Any]) -> EncodedImage:
    content = json.dumps(document, ensure_ascii=False, indent=1).encode()
    return EncodedImage(content=content, media_type="application/json")
