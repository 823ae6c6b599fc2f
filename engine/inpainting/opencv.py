"""Fills that carry the edge of a hole inwards: OpenCV's two. Fast; right for strokes, a smear in anything wide."""

from dataclasses import dataclass

import cv2
import numpy as np

from engine.images import Bytes
from engine.inpainting.base import NothingToFillFrom
from engine.masks import Mask


@dataclass(frozen=True, slots=True)
class DiffusionFill:
    """A fill by `cv2.inpaint`, which releases the interpreter lock and draws no lots: the seed has no effect.

    Attributes:
        flag: one of OpenCV's `INPAINT_*`.
        radius_px: how far around a pixel known neighbours count.
    """

    name: str
    flag: int
    radius_px: float

    def margin_px(self, hole_side_px: int) -> int:  # noqa: ARG002 - it looks at the rim only, however large the hole
        return 16

    def is_coarse(self, hole: Mask) -> bool:  # noqa: ARG002 - it is fast enough for any hole
        return False

    def fill(self, image: Bytes, hole: Mask, seed: int) -> Bytes:  # noqa: ARG002 - it draws no lots
        if hole.all():
            raise NothingToFillFrom
        filled = cv2.inpaint(image, hole.astype(np.uint8), self.radius_px, self.flag)
        return np.where(hole[..., None], filled, image).astype(np.uint8)


TELEA = DiffusionFill("telea", cv2.INPAINT_TELEA, 4.0)
"""Source: A. Telea, An image inpainting technique based on the fast marching method, 2004."""

NAVIER_STOKES = DiffusionFill("navier_stokes", cv2.INPAINT_NS, 4.0)
"""Source: M. Bertalmio, A. L. Bertozzi, G. Sapiro, Navier-Stokes, fluid dynamics, and image inpainting, 2001."""
