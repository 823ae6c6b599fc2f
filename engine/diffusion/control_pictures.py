"""Pictures for ControlNets, made of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.images import Floats
from engine.preprocessing.edges import edges, layered_edges
from engine.preprocessing.shades import contrast_shades
from protocol.guides import ControlRef, Preprocess

_LEFT_OUT: Final = -1.0
"""What the ControlNets for inpainting were shown of masked pixels."""


@dataclass(frozen=True, slots=True)
class _Thresholds:
    low: int
    high: int


_USUAL: Final[Mapping[Preprocess, _Thresholds]] = {
    # Those of the published examples for ControlNets, and of Fooocus.
    Preprocess.CANNY: _Thresholds(100, 200),
    Preprocess.PYRA_CANNY: _Thresholds(64, 128),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The picture a job is about, as the model sees it.

    Attributes:
        rgb: (H, W, 3) in [0, 1].
        hole: (H, W) of 0 and 1; 1 is repainted. None where that is no question.
    """

    rgb: Floats
    hole: Floats | None = None


def control_picture(ref: ControlRef, subject: Subject) -> Floats:
    """What a ControlNet goes by.

    Returns:
        (H, W, 3) in [0, 1], and -1 in the hole with `inpaint`. The same array with `none`, and with those that take a
        network: see `engine.preprocessing.networks`.

    Source: what is shown of a hole is of ControlNet 1.1.
    """
    match ref.preprocess:
        case Preprocess.NONE | Preprocess.DEPTH | Preprocess.OPENPOSE:
            return subject.rgb
        case Preprocess.CANNY:
            thresholds = _thresholds(ref)
            return edges(subject.rgb, thresholds.low, thresholds.high)
        case Preprocess.PYRA_CANNY:
            thresholds = _thresholds(ref)
            return layered_edges(subject.rgb, thresholds.low, thresholds.high)
        case Preprocess.CPDS:
            return contrast_shades(subject.rgb)
        case Preprocess.INPAINT:
            assert subject.hole is not None, "only what is repainted can be left out"
            return np.where(subject.hole[..., None] > 0, np.float32(_LEFT_OUT), subject.rgb)


def _thresholds(ref: ControlRef) -> _Thresholds:
    usual = _USUAL[ref.preprocess]
    return _Thresholds(
        usual.low if ref.canny_low is None else ref.canny_low, usual.high if ref.canny_high is None else ref.canny_high
    )
