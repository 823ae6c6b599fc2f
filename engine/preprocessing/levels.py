"""Brightness spread over all there is from black to white."""

import numpy as np
from numpy.typing import NDArray

from engine.images import Floats


def stretched(values: NDArray[np.floating], dark: float, bright: float) -> Floats:
    """
    Args:
        values: (H, W), of any range.
        dark, bright: percentiles of them that become 0 and 1; what is beyond is cut off.

    Returns:
        (H, W) in [0, 1]; 0 everywhere if the percentiles are the same.
    """
    least, most = np.percentile(values, (dark, bright))
    if most <= least:
        return np.zeros(values.shape, np.float32)
    spread: Floats = np.clip((values - least) / (most - least), 0, 1).astype(np.float32)
    return spread
