"""Fill by copying patches from elsewhere in the picture: the best classical fill for texture and for text."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np
import patchmatch

from engine.images import Bytes
from engine.inpainting.base import NothingToFillFrom
from engine.inpainting.opencv import TELEA
from engine.masks import Mask

_PATCH_RADIUS_PX: Final = 3
_SECONDS_PER_PIXEL: Final = 1.2e-6
_SECONDS_PER_HOLE_PIXEL: Final = 9e-6
"""Both measured on one core of a 2-core virtual machine, 400 to 1000 px a side."""
_LONGEST_CALL_S: Final = 12.0
"""A call cannot be cut short, so a cancel waits for it."""


class SharedSeed:
    """Lets fills run together that want the same seed, and makes others wait.

    The library keeps one seed per process and reads it when a fill begins; each thread then draws from a generator of
    its own. So fills with one seed may overlap, and fills with different seeds must not.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seed: int | None = None
        self._running = 0

    @contextmanager
    def held(self, seed: int) -> Iterator[None]:
        """Within this, every fill of the process begins with `seed`. Blocks until that is so."""
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0 or self._seed == seed)
            if self._seed != seed:
                patchmatch.set_random_seed(seed)
                self._seed = seed
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


class PatchMatchFill:
    """PatchMatch through the library of the `pypatchmatch` package; releases the interpreter lock.

    A hole that would take longer than about 12 s is filled at a lower resolution, which shows as softness.

    Source: C. Barnes, E. Shechtman, A. Finkelstein, D. B. Goldman, PatchMatch, SIGGRAPH 2009.
    """

    name: Final = "patchmatch"
    _seeds = SharedSeed()

    def margin_px(self, hole_side_px: int) -> int:
        # Enough to choose from, without paying for the whole picture: a pixel in view costs a seventh of one to fill.
        return max(64, hole_side_px // 2)

    def is_coarse(self, hole: Mask) -> bool:
        return _reduction(hole) < 1

    def fill(self, image: Bytes, hole: Mask, seed: int) -> Bytes:
        if hole.all():  # the library would answer with black
            raise NothingToFillFrom
        scale = _reduction(hole)
        if scale < 1:
            return self._fill_small(image, hole, seed, scale)
        with self._seeds.held(seed):
            filled = patchmatch.inpaint(image, hole, patch_size=_PATCH_RADIUS_PX)
        return np.where(hole[..., None], filled, image).astype(np.uint8)

    def _fill_small(self, image: Bytes, hole: Mask, seed: int, scale: float) -> Bytes:
        height, width = hole.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Any pixel that holds some of the hole is hole: nothing of what is erased may bleed into the surroundings.
        small_hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if small_hole.all():  # so little is left that it is lost in the reduction
            return TELEA.fill(image, hole, seed)
        filled = self.fill(np.asarray(small, np.uint8), small_hole, seed)
        large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.where(hole[..., None], large, image).astype(np.uint8)


def _reduction(hole: Mask) -> float:
    """By how much a picture with this hole is scaled down before it is filled; 1 if not at all."""
    expected_s = hole.size * _SECONDS_PER_PIXEL + np.count_nonzero(hole) * _SECONDS_PER_HOLE_PIXEL
    return 1.0 if expected_s <= _LONGEST_CALL_S else math.sqrt(0.9 * _LONGEST_CALL_S / expected_s)
