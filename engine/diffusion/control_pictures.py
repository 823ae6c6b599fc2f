"""Pictures for ControlNets, made of others."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from engine.images import Floats, from_uint8, to_uint8
from protocol.guides import Preprocess

_CANNY_LOW: Final = 100
_CANNY_HIGH: Final = 200
"""Of 255: gradients above the second are edges, and those above the first that touch one."""
_LEFT_OUT: Final = -1.0
"""What the ControlNets for inpainting were shown of masked pixels."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The picture a job is about, as the model sees it.

    Attributes:
        rgb: (H, W, 3) in [0, 1].
        hole: (H, W) of 0 and 1; 1 is repainted. None where that is no question.
    """

    rgb: Floats
    hole: Floats | None = None


def control_picture(preprocess: Preprocess, subject: Subject) -> Floats:
    """What a ControlNet goes by.

    Returns:
        (H, W, 3) in [0, 1], and -1 in the hole with `inpaint`; the same array with `none`.

    Source: Canny, "A Computational Approach to Edge Detection", 1986, with the thresholds that the published examples
    for ControlNets use; what they show of a hole is of ControlNet 1.1.
    """
    match preprocess:
        case Preprocess.NONE:
            return subject.rgb
        case Preprocess.CANNY:
            edges = cv2.Canny(to_uint8(subject.rgb), _CANNY_LOW, _CANNY_HIGH)
            return from_uint8(np.repeat(np.asarray(edges, np.uint8)[..., None], 3, axis=2))
        case Preprocess.INPAINT:
            assert subject.hole is not None, "only what is repainted can be left out"
            return np.where(subject.hole[..., None] > 0, np.float32(_LEFT_OUT), subject.rgb)
