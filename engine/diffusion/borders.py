"""What is added to a picture on its four sides."""

from dataclasses import dataclass

import cv2
import numpy as np

from engine.images import Floats
from engine.interface import EngineError
from engine.masks import Mask
from protocol.errors import ErrorCode
from protocol.params import MAX_SIDE_PX


@dataclass(frozen=True, slots=True)
class Borders:
    """How far each side of a picture moves out, in pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        return bool(self.left or self.top or self.right or self.bottom)

    def check(self, width: int, height: int) -> None:
        """Raises EngineError: `invalid_params`: a picture of this size would become larger than any may be."""
        wide, high = self.left + width + self.right, self.top + height + self.bottom
        if max(wide, high) > MAX_SIDE_PX:
            sizes = f"expected a result of at most {MAX_SIDE_PX} px a side, got {wide} x {high}"
            raise EngineError(ErrorCode.INVALID_PARAMS, f"left, top, right, bottom: {sizes} at $.params")

    def repeated(self, rgb: Floats) -> Floats:
        """(top + H + bottom, left + W + right, 3): the pixels of the edges, over and over."""
        return np.pad(rgb, ((self.top, self.bottom), (self.left, self.right), (0, 0)), mode="edge")

    def blurred(self, rgb: Floats) -> Floats:
        """Likewise, but what is new is blurred: something to start from that has no lines in it."""
        height, width = rgb.shape[:2]
        sigma = max(self.left, self.top, self.right, self.bottom) / 8
        canvas = np.asarray(cv2.GaussianBlur(self.repeated(rgb), (0, 0), sigmaX=max(sigma, 0.5)), np.float32)
        canvas[self.top : self.top + height, self.left : self.left + width] = rgb
        return canvas

    def masked(self, mask: Mask) -> Mask:
        """The mask of the larger picture; what is new is repainted."""
        sides = ((self.top, self.bottom), (self.left, self.right))
        return np.pad(mask, sides, mode="constant", constant_values=True)
