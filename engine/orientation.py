"""Which way up a picture is, as the camera that took it noted.

Source: Exif 2.32, tag 0x0112, whose values name where row 0 and column 0 of the file are in the scene.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from engine.opening import DAMAGE

TURNED: Final = range(2, 9)
"""What an upright picture does not say."""


def orientation_of(image: Image.Image) -> int:
    """As its Exif block says, 1..8; 1 for none, or for a damaged block: that makes no bad picture."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGE:
        return 1


def upright(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """(H, W) or (H, W, 3), turned so that up is up.

    Args:
        orientation: one of `TURNED`.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    is_flipped_down = orientation in {3, 4, 7, 8}
    is_flipped_across = orientation in {2, 3, 6, 7}
    rows = slice(None, None, -1) if is_flipped_down else slice(None)
    columns = slice(None, None, -1) if is_flipped_across else slice(None)
    return np.ascontiguousarray(pixels[rows, columns])
