"""Say what can be seen in a picture: tags, faces, writing, colours, and a caption. Each tag names its source."""

import json
from collections.abc import Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from engine.images import Bytes, Picture, decode, on_white, to_uint8
from engine.interface import Call, EncodedImage, Run, RunContext, Steps, Where
from engine.models.files import locate
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.plugins.published import PLUGIN_MODELS
from engine.steps import twice
from protocol.editing import DescribeParams, DescribeStyle

if TYPE_CHECKING:
    from engine.describing.captioner import Captioner
    from engine.describing.colours import Colour
    from engine.describing.drawing_tags import DrawingTagger
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
_CAPTION: Final = "caption"
_CAPTIONERS: Final = {
    DescribeStyle.PHOTO: "blip-image-captioning-base",
    DescribeStyle.ANIME: "wd-v1-4-moat-tagger-v2",
}


def describe(run: Run, context: RunContext, residency: Residency, plugins: PluginFiles | None = None) -> Steps:
    """Read; classify and find faces (device calls); read writing and find colours (side pool); caption; tell.

    Output 0 is a JSON document, and its data the same: `tags` (tag, confidence, source), `faces`, `text`, `colours`,
    and `caption` if one was asked for and the model for it is there. Transparent parts are looked at as white.

    Warns:
        caption_unavailable: the model for it is not there.
        seed_unused: nothing is drawn.
    """
    assert isinstance(run.params, DescribeParams)
    params = run.params
    if "seed" in params.model_fields_set and params.style is not DescribeStyle.PHOTO:
        context.warn("seed_unused", "seed: only the words of a caption for a photo are drawn")
    picture: Picture = yield Call(lambda: decode(run.inputs["image"], warn=context.warn), Where.POOL, "read")
    rgb = on_white(picture)
    image = to_uint8(rgb)
    classifier = yield from residency.use(_CLASSIFIER, _load_classifier)
    names: list[str] = yield Call(lambda: _read_names(locate(_CLASS_NAMES, residency.models_dir)), Where.POOL, "read")
    likely: Any = yield from twice(Call(lambda: classifier.classify(rgb), stage="classify"))
    steps = len(_STAGES) + (params.style in _CAPTIONERS)
    _tell(context, 1, steps)
    finder = yield from residency.use(_FACE_FINDER, _load_finder)
    faces: list[Face] = yield Call(lambda: finder.find(image), stage="faces")
    _tell(context, 2, steps)
    lines: list[TextLine] = yield Call(lambda: _read_text(image), Where.POOL, "text")
    _tell(context, 3, steps)
    colours: list[Colour] = yield Call(lambda: _find_colours(rgb), Where.POOL, "colours")
    _tell(context, 4, steps)

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
    document: dict[str, Any] = {
        "tags": tags[: params.max_tags],
        "faces": [asdict(face) for face in faces],
        "text": [_line(line) for line in lines],
        "colours": [asdict(colour) for colour in colours],
    }
    if params.style in _CAPTIONERS:
        files = plugins or PluginFiles(models_dir=residency.models_dir)
        caption = yield from _caption(params, image, context, residency, files)
        if caption is not None:
            document["caption"] = caption
        _tell(context, steps, steps)
    yield from context.output(0, lambda: _encode(document), data=document)


def _tell(context: RunContext, step: int, steps: int) -> None:
    context.step(step, steps, progress=0.95 * step / steps, stage=(*_STAGES, _CAPTION)[step - 1])


def _caption(
    params: DescribeParams, image: Bytes, context: RunContext, residency: Residency, files: PluginFiles
) -> Generator[Call, Any, str | None]:
    """A sentence, or tags with commas; None if the model for it is not there."""
    name = _CAPTIONERS[params.style]
    found: Path | None = yield Call(partial(files.find, name), Where.POOL, "read")
    if found is None:
        model = PLUGIN_MODELS[name]
        told = f"{params.style}: the model {name!r} is not there: put {model.files[0]} from {model.url} into the folder"
        context.warn("caption_unavailable", f"style {told} plugins of the server's models folder; there are tags only")
        return None
    if params.style is DescribeStyle.PHOTO:
        captioner = yield from files.use(name, residency, _load_captioner)
        caption: str = yield from twice(Call(partial(captioner.caption, image, params.seed), stage=_CAPTION))
        return caption
    tagger = yield from files.use(name, residency, _load_tagger)
    tags: str = yield from twice(Call(partial(tagger.caption, image), stage=_CAPTION))
    return tags


def _load_classifier(path: Path, device: str) -> "EfficientNetLite":
    from engine.describing.efficientnet import load_efficientnet

    return load_efficientnet(path, device)


def _load_captioner(path: Path, device: str) -> "Captioner":
    from engine.describing.captioner import load_captioner

    return load_captioner(path, device)


def _load_tagger(path: Path, device: str) -> "DrawingTagger":
    from engine.describing.drawing_tags import load_drawing_tagger

    return load_drawing_tagger(path, device)


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
