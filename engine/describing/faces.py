"""Finding faces with CenterFace.

Run by OpenCV: the file declares an input of 32 x 32, which OpenCV takes as an example and onnxruntime as a law.

Source: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes

_MIN_CONFIDENCE: Final = 0.5
_STRIDE_PX: Final = 4
_MULTIPLE_PX: Final = 32
_LONGEST_PX: Final = 960
"""Larger pictures are looked at in this size: 0.2 s on two cores, and faces of 2 % of the width are found."""
_MOST_OVERLAP: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face, in pixels of the picture."""

    x: int
    y: int
    width: int
    height: int
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class FaceWithPoints:
    """A face, and where its parts are.

    Attributes:
        points: (5, 2) float32, x and y in pixels of the picture: the eyes, the tip of the nose and the corners of the
            mouth, each pair from left to right.
    """

    face: Face
    points: NDArray[np.float32]


class FaceFinder:
    """Not for two threads at once: the network keeps its input."""

    def __init__(self, model: Path) -> None:
        self._network: Any = cv2.dnn.readNetFromONNX(str(model))
        self._outputs: Sequence[str] = self._network.getUnconnectedOutLayersNames()

    def find(self, image: Bytes) -> list[Face]:
        """Faces, the surest first.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        return [found.face for found in self.find_with_points(image)]

    def find_with_points(self, image: Bytes, min_confidence: float = _MIN_CONFIDENCE) -> list[FaceWithPoints]:
        """Faces with their points, the surest first.

        Args:
            image: (H, W, 3) uint8, RGB.
            min_confidence: less sure ones are left out.
        """
        height, width = image.shape[:2]
        scale = min(1.0, _LONGEST_PX / max(height, width))
        seen_width, seen_height = (
            max(_MULTIPLE_PX, round(side * scale / _MULTIPLE_PX) * _MULTIPLE_PX) for side in (width, height)
        )
        resized = cv2.resize(image, (seen_width, seen_height), interpolation=cv2.INTER_AREA)
        self._network.setInput(cv2.dnn.blobFromImage(np.asarray(resized)))
        heat, sizes, offsets, landmarks = self._network.forward(self._outputs)
        boxes, scores = decode_boxes(heat[0, 0], sizes[0], offsets[0], min_confidence)
        points = decode_points(landmarks[0][:, heat[0, 0] > min_confidence], boxes)
        stretch = np.array([width / seen_width, height / seen_height], np.float32)
        boxes, points = boxes * np.tile(stretch, 2), points * stretch
        np.clip(boxes, 0, [width, height, width, height], out=boxes)
        return [
            FaceWithPoints(_face(boxes[place], float(scores[place])), points[place])
            for place in best_places(boxes, scores)
        ]


def _face(box: NDArray[np.float32], score: float) -> Face:
    left, top, right, bottom = (float(edge) for edge in box)
    return Face(
        x=round(left),
        y=round(top),
        width=max(1, round(right - left)),
        height=max(1, round(bottom - top)),
        confidence=round(score, 4),
    )


def decode_boxes(
    heat: NDArray[np.float32], sizes: NDArray[np.float32], offsets: NDArray[np.float32], min_confidence: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the network says, as boxes in pixels of what it saw.

    Args:
        heat: (h, w), how likely each cell is the centre of a face.
        sizes: (2, h, w), logarithms of height and width in cells.
        offsets: (2, h, w), of the centre within its cell, down and across.

    Returns:
        (N, 4) left, top, right, bottom, and (N,) confidences.
    """
    rows, columns = np.nonzero(heat > min_confidence)
    half_height, half_width = np.exp(sizes[:, rows, columns]) * _STRIDE_PX / 2
    down, across = offsets[:, rows, columns]
    y, x = (rows + down + 0.5) * _STRIDE_PX, (columns + across + 0.5) * _STRIDE_PX
    boxes = np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)
    return boxes.astype(np.float32), heat[rows, columns]


def decode_points(landmarks: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The five points of each face, in pixels of what the network saw.

    Args:
        landmarks: (10, N), down and across of each point, as shares of the box from its upper left corner.
        boxes: (N, 4) left, top, right, bottom.

    Returns:
        (N, 5, 2), x and y.
    """
    corners, extents = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    shares = landmarks.T.reshape(-1, 5, 2)[..., ::-1]
    points: NDArray[np.float32] = corners + shares * extents
    return points


def best_places(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Which boxes remain without those that overlap a better one, the highest score first."""
    kept: list[int] = []
    for place in np.argsort(-scores, kind="stable"):
        if all(_overlap(boxes[place], boxes[better]) <= _MOST_OVERLAP for better in kept):
            kept.append(int(place))
    return kept


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width * height)
    areas = float((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]))
    return shared / (areas - shared)
