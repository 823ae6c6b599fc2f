"""How each model that finds the subject of a picture wants to see it, and how its answer reads.

    picture -> pixels in the model's size, about 0 -> network -> answer -> (h, w) in [0, 1], of the whole picture

Source: the preparation that rembg 2 and the authors of RMBG and anime-segmentation use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import numpy as np

from engine.images import Bytes, Floats
from engine.models.onnx_session import Session
from protocol.editing import BackgroundModel

_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)


class Answer(Enum):
    """What a network's numbers are."""

    SALIENCE = auto()
    """Only relative to each other: the least is no subject, the greatest is all subject."""
    LOGITS = auto()
    """Salience before the logistic function."""
    SHARE = auto()
    """What they say, 0 to 1."""
    CLASSES = auto()
    """One channel for the background, and one for each kind of subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model is asked.

    Attributes:
        published: the file's name in `engine.plugins.published`; None: it is packaged, under the model's own name.
        side_px: of the square it sees.
        mean, deviation: what its pixels are shifted and scaled by.
        brightens: pixels are first scaled so that the largest is 1.
        keeps_shape: the picture is laid in the middle of a black square, not stretched.
    """

    published: str | None = None
    side_px: int = 320
    mean: tuple[float, float, float] = _IMAGENET_MEAN
    deviation: tuple[float, float, float] = _IMAGENET_DEVIATION
    brightens: bool = True
    keeps_shape: bool = False
    answer: Answer = Answer.SALIENCE


class Network(Protocol):
    """A loaded model."""

    def __call__(self, planes: Floats) -> Floats:
        """(1, 3, side, side) float32 to (1, channels, side, side)."""
        ...


class OnnxMap:
    """A session of onnxruntime that is asked with arrays. Of several outputs the first counts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, planes: Floats) -> Floats:
        (first, *_) = self._session.run(None, {self._session.get_inputs()[0].name: planes})
        return np.asarray(first, np.float32)


def _birefnet(name: str) -> Recipe:
    return Recipe(published=name, side_px=1024, answer=Answer.LOGITS)


RECIPES: Final[Mapping[BackgroundModel, Recipe]] = {
    BackgroundModel.U2NET: Recipe(),
    BackgroundModel.U2NETP: Recipe(),
    BackgroundModel.U2NET_HUMAN_SEG: Recipe(published="u2net_human_seg"),
    BackgroundModel.U2NET_CLOTH_SEG: Recipe(published="u2net_cloth_seg", side_px=768, answer=Answer.CLASSES),
    BackgroundModel.SILUETA: Recipe(published="silueta"),
    BackgroundModel.ISNET_GENERAL_USE: Recipe(
        published="isnet-general-use", side_px=1024, mean=(0.5, 0.5, 0.5), deviation=(1, 1, 1)
    ),
    BackgroundModel.ISNET_ANIME: Recipe(
        published="isnetis",
        side_px=1024,
        mean=(0, 0, 0),
        deviation=(1, 1, 1),
        brightens=False,
        keeps_shape=True,
        answer=Answer.SHARE,
    ),
    BackgroundModel.RMBG_1_4: Recipe(
        published="rmbg-1.4", side_px=1024, mean=(0.5, 0.5, 0.5), deviation=(1, 1, 1), brightens=False
    ),
    BackgroundModel.RMBG_2_0: Recipe(published="rmbg-2.0", side_px=1024, brightens=False),
    BackgroundModel.BIREFNET_GENERAL: _birefnet("birefnet-general"),
    BackgroundModel.BIREFNET_GENERAL_LITE: _birefnet("birefnet-general-lite"),
    BackgroundModel.BIREFNET_PORTRAIT: _birefnet("birefnet-portrait"),
    BackgroundModel.BIREFNET_DIS: _birefnet("birefnet-dis"),
    BackgroundModel.BIREFNET_HRSOD: _birefnet("birefnet-hrsod"),
    BackgroundModel.BIREFNET_COD: _birefnet("birefnet-cod"),
    BackgroundModel.BIREFNET_MASSIVE: _birefnet("birefnet-massive"),
}


def find_subject(network: Network, recipe: Recipe, image: Bytes, *, only: int | None = None) -> Floats:
    """How much each part of the picture belongs to its subject.

    Args:
        image: (H, W, 3) uint8, RGB.
        only: of a network with a channel for each kind of subject, the one that counts; None is all of them.

    Returns:
        (h, w) float32 in [0, 1], of some size, to be stretched over the picture; all 0 if a network whose answers are
        relative sees no difference.
    """
    import cv2

    height, width = image.shape[:2]
    side = recipe.side_px
    rows, columns = slice(0, side), slice(0, side)
    if recipe.keeps_shape:
        longer = max(height, width)
        tall, wide = max(1, side * height // longer), max(1, side * width // longer)
        top, left = (side - tall) // 2, (side - wide) // 2
        rows, columns = slice(top, top + tall), slice(left, left + wide)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    is_smaller = size[0] < width
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR)
    pixels = np.asarray(resized, np.float32)
    pixels /= max(float(pixels.max()), 1e-6) if recipe.brightens else 255
    square = np.zeros((side, side, 3), np.float32)
    square[rows, columns] = pixels
    prepared = (square - np.array(recipe.mean, np.float32)) / np.array(recipe.deviation, np.float32)
    answer = network(np.ascontiguousarray(prepared.transpose(2, 0, 1)[None], np.float32))
    share: Floats = _read(answer[0], recipe.answer, only)[rows, columns]
    return share


def _read(answer: Floats, kind: Answer, only: int | None) -> Floats:
    """(channels, h, w) to (h, w) in [0, 1]."""
    if kind is Answer.CLASSES:
        classes = np.argmax(answer, axis=0)
        return np.asarray(classes > 0 if only is None else classes == only, np.float32)
    salience: Floats = np.asarray(answer[0], np.float32)
    if kind is Answer.SHARE:
        return np.asarray(np.clip(salience, 0, 1), np.float32)
    if kind is Answer.LOGITS:
        salience = np.asarray(1 / (1 + np.exp(-np.clip(salience, -80, 80))), np.float32)
    low, high = float(salience.min()), float(salience.max())
    return (salience - low) / (high - low) if high - low > 1e-6 else np.zeros_like(salience)
