"""A picture that is enlarged tile by tile."""

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.images import Bytes, Picture, from_uint8, to_uint8
from engine.upscaling.tiling import Span
from protocol.editing import Resampling

_PREVIEW_SIDE_PX: Final = 512


class Enlargement:
    """The picture being made, at the network's own scale, and a small copy of it for previews."""

    def __init__(self, picture: Picture, scale: int, wants_previews: bool) -> None:
        self._scale = scale
        self._is_deep = picture.depth_bits > 8
        # Whole numbers, since this is sixteen times the input.
        self._pixels: NDArray[Any] = np.empty(
            (picture.height * scale, picture.width * scale, 3), np.uint16 if self._is_deep else np.uint8
        )
        self._small = _shrunk(picture) if wants_previews else None
        self._small_scale = self._small.shape[1] / picture.width if self._small is not None else 0.0

    def paste(self, tile: Span, kept: Span, pixels: NDArray[Any]) -> None:
        """Put in a tile, fading it into those above and to the left, which must be there already.

        Args:
            kept: `tile` and the rim around it that overlaps its neighbours.
            pixels: of `kept`: (h * scale, w * scale, 3) float in [0, 1].
        """
        s = self._scale
        target = self._pixels[kept.top * s : kept.bottom * s, kept.left * s : kept.right * s]
        white = np.float32(65_535 if self._is_deep else 255)
        rows, columns = 2 * (tile.top - kept.top) * s, 2 * (tile.left - kept.left) * s
        values = pixels * white
        if rows or columns:
            weight = _ramp(values.shape[0], rows)[:, None] * _ramp(values.shape[1], columns)
            painted = target.astype(np.float32)
            values = np.where(weight[..., None] < 1, painted + (values - painted) * weight[..., None], values)
        np.rint(values, out=values)
        target[:] = values.astype(target.dtype)
        if self._small is not None:
            _paste_small(self._small, self._small_scale, kept, pixels)

    def preview(self) -> "partial[Bytes]":
        """Makes (h, w, 3) uint8 of the picture as it is now; keeps no hold on what will be painted later."""
        assert self._small is not None
        return partial(to_uint8, self._small.copy())

    def finished(self, picture: Picture, factor: float, resampling: Resampling) -> Picture:
        """The picture at `factor` times its old size, with its alpha brought to that size by linear interpolation."""
        import cv2

        size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
        pixels = self._pixels
        if size != (pixels.shape[1], pixels.shape[0]):
            is_larger = size[0] > pixels.shape[1]
            # Enlarging by area repeats pixels.
            is_sharp = is_larger or resampling is Resampling.LANCZOS
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LANCZOS4 if is_sharp else cv2.INTER_AREA)
        rgb = pixels.astype(np.float32) / np.float32(65_535) if self._is_deep else from_uint8(pixels)
        alpha = picture.alpha
        if alpha is not None and not self._is_deep:
            alpha = from_uint8(np.asarray(cv2.resize(to_uint8(alpha), size, interpolation=cv2.INTER_LINEAR), np.uint8))
        elif alpha is not None:
            alpha = np.clip(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), 0, 1)
        return replace(picture, rgb=rgb, alpha=alpha)


def _ramp(length: int, rising: int) -> NDArray[np.float32]:
    """Weights that rise from 0 to 1 over the first `rising` places and stay there."""
    ramp = np.ones(length, np.float32)
    ramp[:rising] = (np.arange(rising, dtype=np.float32) + 0.5) / max(rising, 1)
    return ramp


def _shrunk(picture: Picture) -> NDArray[np.float32]:
    """What the preview starts from: the input, enlarged or reduced to the size of the preview, softly."""
    import cv2

    # Larger than a thumbnail by enough to tell the sharp part from the soft one.
    scale = min(4.0, _PREVIEW_SIDE_PX / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture.rgb, size, interpolation=interpolation), np.float32)


def _paste_small(small: NDArray[np.float32], scale: float, tile: Span, pixels: NDArray[Any]) -> None:
    import cv2

    top, bottom = round(tile.top * scale), round(tile.bottom * scale)
    left, right = round(tile.left * scale), round(tile.right * scale)
    if bottom > top and right > left:
        area = (right - left, bottom - top)
        small[top:bottom, left:right] = cv2.resize(pixels, area, interpolation=cv2.INTER_AREA)
