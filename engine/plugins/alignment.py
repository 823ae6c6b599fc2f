"""Turning a face upright into the square that face networks were trained on, and laying it back.

Source: the template is the mean place of five points in the 512 px pictures of the FFHQ data set (Karras et al., 2019),
as facexlib publishes it.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes, Floats

SIDE_PX: Final = 512
_TEMPLATE: Final = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ],
    np.float32,
)
_LEAST_EYE_DISTANCE_PX: Final = 5.0
_BORDER: Final = (135, 133, 132)
"""Grey, for what lies beyond the picture: as in the training of these networks."""
_EDGE_SHARE: Final = 0.1
_FADE_SHARE: Final = 1 / 20


def is_large_enough(points: NDArray[np.float32]) -> bool:
    """Whether a face has enough pixels to begin with: its eyes are 5 px apart."""
    return float(np.hypot(*(points[1] - points[0]))) >= _LEAST_EYE_DISTANCE_PX


def placement(points: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """How a face is moved, turned and scaled into the square.

    Args:
        points: (5, 2): eyes, nose, corners of the mouth; x and y in pixels of the picture.

    Returns:
        (2, 3), from pixels of the picture to those of the square; None if the points fit no face.
    """
    found: NDArray[np.float64] | None
    found, _ = cv2.estimateAffinePartial2D(points, _TEMPLATE, method=cv2.LMEDS)  # type: ignore[assignment]  # the stubs know of no failure
    return found


def take_out(image: Bytes, matrix: NDArray[np.float64]) -> Bytes:
    """The face in its square: (512, 512, 3) uint8."""
    side = (SIDE_PX, SIDE_PX)
    square = cv2.warpAffine(image, matrix, side, borderMode=cv2.BORDER_CONSTANT, borderValue=_BORDER)
    return np.asarray(square, np.uint8)


def lay_back(rgb: Floats, face: Floats, matrix: NDArray[np.float64]) -> Floats:
    """The picture with a face from its square in it, faded in at the square's edge.

    Args:
        rgb: (H, W, 3) in [0, 1].
        face: (512, 512, 3) in [0, 1].
        matrix: that the face was taken out with.

    Returns:
        (H, W, 3) in [0, 1]; equal to `rgb` outside the square.
    """
    height, width = rgb.shape[:2]
    back = cv2.invertAffineTransform(matrix)
    corners = (
        np.array([[0, 0], [SIDE_PX, 0], [SIDE_PX, SIDE_PX], [0, SIDE_PX]], np.float64) @ back[:, :2].T + back[:, 2]
    )
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, (width, height))
    if right <= left or bottom <= top:
        return rgb
    # Only where the square is: a crowd has many faces, and a picture many pixels.
    back[:, 2] -= (left, top)
    area = (int(right - left), int(bottom - top))
    painted = cv2.warpAffine(face, back, area, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weights = cv2.warpAffine(_weights(), back, area, flags=cv2.INTER_LINEAR)[..., None]
    laid: Floats = rgb.copy()
    part = laid[top:bottom, left:right]
    part += (np.clip(painted, 0, 1) - part) * weights
    return laid


def _weights() -> Floats:
    """(512, 512): 1 in the middle, falling softly to 0 before the edge."""
    inner = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    edge = round(SIDE_PX * _EDGE_SHARE)
    inner[edge:-edge, edge:-edge] = 1
    blurred = cv2.GaussianBlur(inner, (0, 0), SIDE_PX * _FADE_SHARE / 2)
    blurred[[0, -1]] = blurred[:, [0, -1]] = 0
    return np.asarray(blurred, np.float32)
