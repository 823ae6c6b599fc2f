"""Where writing is and what it says: PP-OCR through `rapidocr`, whose weights are inside the package."""

import os
import threading
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes

_MOST_THREADS: Final = 4
"""More do not make it faster at the size the networks see, and take cores from other work."""
_LONGEST_SIDE_PX: Final = 2000
_SLIMMEST: Final = 4
"""Longer over shorter side of what the networks are shown. The library enlarges until the shorter side has 736 px: a
slim strip, left as it is, would take all memory of the machine."""


@dataclass(frozen=True, slots=True, eq=False)
class TextLine:
    """A line of writing.

    Attributes:
        corners: (4, 2) float32, x and y, clockwise from the first letter's top; may be tilted.
        text: what it says, as far as it could be read.
        confidence: of the reading, 0..1.
    """

    corners: NDArray[np.float32]
    text: str
    confidence: float

    @property
    def height_px(self) -> float:
        """Of the letters, across the line, however the line runs."""
        sides = np.linalg.norm(self.corners - np.roll(self.corners, -1, axis=0), axis=1)
        return float(min(sides[0] + sides[2], sides[1] + sides[3]) / 2)


class TextReader:
    """Finds and reads writing. Loads its networks (about 30 MB, under a second) when first used.

    From any thread; one picture at a time, since the library keeps state between the stages of a call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ocr: Any = None

    def read(self, image: Bytes) -> list[TextLine]:
        """Every line that was found, whatever its confidence.

        Args:
            image: (H, W, 3) uint8, RGB. Looked at with at most 2000 px a side.
        """
        shown, scale = _prepare(image)
        with self._lock:
            if self._ocr is None:
                self._ocr = _load()
            # What one call switches on or off stays so for the next: all three every time.
            found = self._ocr(shown, use_det=True, use_cls=True, use_rec=True)
        if found.boxes is None or found.txts is None:
            return []
        height, width = image.shape[:2]
        lines = []
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            placed = np.asarray(corners, np.float32) / scale
            if placed[:, 0].min() < width and placed[:, 1].min() < height:
                lines.append(TextLine(placed.clip((0, 0), (width, height)), str(text), float(score)))
        return lines


READER: Final = TextReader()
"""One for the process: the networks are loaded once."""


def _load() -> Any:
    from rapidocr import RapidOCR

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    return RapidOCR(
        params={
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "critical",
            "Global.text_score": 0.0,
        }
    )


def _prepare(image: Bytes) -> tuple[Bytes, float]:
    """The picture as the library wants it, BGR, of a size and shape it can handle; and how much smaller it is.

    Grey is added on the right or below, so that only the scale has to be undone.
    """
    scale = min(1.0, _LONGEST_SIDE_PX / max(image.shape[:2]))
    shown = np.ascontiguousarray(image[..., ::-1])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        shown = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = shown.shape[:2]
    below, right = max(0, width // _SLIMMEST - height), max(0, height // _SLIMMEST - width)
    if below or right:
        grey = (127, 127, 127)
        shown = np.asarray(cv2.copyMakeBorder(shown, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey), np.uint8)
    return shown, scale
