"""Something to start a hole from: the colours around it, carried inwards."""

from typing import Final

import cv2
import numpy as np

from engine.images import Floats
from engine.masks import Mask

_ROUNDS: Final = 4
"""Box blurs of each width; four are close to a Gaussian."""
_LEAST_PX: Final = 2


def filled(rgb: Floats, hole: Mask) -> Floats:
    """The picture with its hole filled by ever finer box blurs, from half of the picture down to 2 px.

    After each blur what is known is put back, so colours flow inwards from the rim; what was in the hole has no part
    in it. Coarse blurs reach the middle of a large hole, and fine ones follow the rim.

    Args:
        rgb: (H, W, 3) in [0, 1].
        hole: (H, W); 1 is filled.

    Returns:
        (H, W, 3) in [0, 1], exactly `rgb` outside of the hole; all of it if there is nothing to fill from.

    Source: as Fooocus prepares a hole, described in `docs/tasks.md`.
    """
    if not hole.any() or hole.all():
        return rgb.copy()
    known = rgb[~hole]
    made = rgb.copy()
    made[hole] = known.mean(axis=0)
    reach_px = max(_LEAST_PX, max(hole.shape) // 2)
    while reach_px >= _LEAST_PX:
        side = 2 * reach_px + 1
        for _ in range(_ROUNDS):
            blurred = np.asarray(cv2.blur(made, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
            made[hole] = blurred[hole]
        reach_px //= 2
    return np.clip(made, 0, 1)
