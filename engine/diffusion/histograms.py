"""Colours brought back to where they were: by what a model did to the pixels it should have kept."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.images import Floats
from engine.masks import Mask

_LEVELS: Final = 256


def matched(made: Floats, original: Floats, *, where: Mask) -> Floats:
    """Map each channel so that, within `where`, its histogram becomes that of the original.

    Args:
        made: (H, W, 3) in [0, 1]: what a model made of `original`.
        original: like `made`.
        where: (H, W) bool: pixels in which the two should be alike. Of none, `made` comes back.

    Returns:
        (H, W, 3) in [0, 1].

    Source: histogram specification, Gonzalez and Woods, "Digital Image Processing", section 3.3.
    """
    if not where.any():
        return made
    result = np.empty_like(made)
    for channel in range(made.shape[2]):
        values = made[..., channel]
        ours, theirs = (_counts(picture[..., channel][where]) for picture in (made, original))
        known = np.flatnonzero(ours)
        wanted = np.searchsorted(np.cumsum(theirs), np.cumsum(ours)[known])
        # A colour that occurs inside the mask only is shifted like its neighbours, not onto one of them.
        shift = np.interp(values * (_LEVELS - 1), known, wanted - known) / (_LEVELS - 1)
        result[..., channel] = np.clip(values + shift, 0, 1)
    return result


def _counts(values: Floats) -> NDArray[np.intp]:
    """(256,): how many values each level has."""
    return np.bincount(np.rint(np.clip(values, 0, 1) * (_LEVELS - 1)).astype(np.intp), minlength=_LEVELS)
