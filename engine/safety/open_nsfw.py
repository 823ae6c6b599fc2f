"""Open NSFW: how likely a picture is not safe for work, of pornography above all.

Source: Mahadeokar and Pesavento, "Open Sourcing a Deep Learning Solution for Detecting NSFW Images", 2016: a ResNet-50
that sees the middle of the picture, in the order blue, green, red, less the means of ImageNet.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from engine.images import Bytes, Floats
from engine.models.onnx_session import Session, open_session

_SCALED_PX: Final = 256
_SIDE_PX: Final = 224
_MEANS: Final = (104.0, 117.0, 123.0)
_UNSAFE_FROM: Final = 0.8
"""Above it the authors call a picture most likely unsafe; below 0.2, safe."""


class OpenNsfw:
    """A session of the network. Implements `engine.safety.checkers.SafetyChecker`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def is_unsafe(self, image: Bytes) -> bool:
        """
        Args:
            image: (H, W, 3) uint8, RGB.
        """
        return self.score(image) > _UNSAFE_FROM

    def score(self, image: Bytes) -> float:
        """How likely it is not safe, 0..1."""
        told = self._session.get_inputs()[0]
        prepared = _prepared(image)[None]
        if told.shape[1] == 3:  # exported with channels first
            prepared = np.ascontiguousarray(prepared.transpose(0, 3, 1, 2))
        (answer, *_) = self._session.run(None, {told.name: prepared})
        return float(np.asarray(answer, np.float32).reshape(-1)[-1])


def load_open_nsfw(path: Path, device: str) -> OpenNsfw:
    """Read the file, as exported to ONNX with its preparation left out."""
    return OpenNsfw(open_session(path, device))


def _prepared(image: Bytes) -> Floats:
    """(224, 224, 3)."""
    scaled = cv2.resize(image, (_SCALED_PX, _SCALED_PX), interpolation=cv2.INTER_LINEAR)
    start = (_SCALED_PX - _SIDE_PX) // 2
    middle = np.asarray(scaled, np.float32)[start : start + _SIDE_PX, start : start + _SIDE_PX]
    return np.ascontiguousarray(middle[..., ::-1] - np.array(_MEANS, np.float32))
