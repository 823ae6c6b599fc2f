"""A picture with holes that are filled one after another."""

from dataclasses import dataclass

import numpy as np

from engine import images, masks
from engine.images import Bytes, Floats, Picture
from engine.inpainting import registry
from engine.inpainting.opencv import TELEA
from engine.masks import Box, Group, Mask
from protocol.editing import FillMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What was done to one hole."""

    method: str
    is_coarse: bool
    """It was so large that it had to be filled at a lower resolution."""


class Canvas:
    """The picture as it is now, and the holes in it.

    Pixels of holes still open are never a source for another hole's content. Not for two threads at a time.

    Args:
        picture: left as it is.
        groups: what to repaint, one hole each; see `masks.groups`.
        feather_px: width of the soft edge around each.
        look_px: how far around each hole content is taken from; None leaves it to the method.
        seed: where the method draws lots.
    """

    def __init__(
        self,
        picture: Picture,
        groups: list[Group],
        *,
        method: FillMethod,
        feather_px: int,
        seed: int,
        look_px: int | None = None,
    ) -> None:
        self._depth_bits = picture.depth_bits
        self._origin = picture.origin
        self._rgb: Floats = picture.rgb.copy()
        self._alpha: Floats | None = None if picture.alpha is None else picture.alpha.copy()
        self._groups = groups
        self._method = method
        self._feather_px = feather_px
        self._seed = seed
        self._look_px = look_px
        self._open: Mask = np.zeros(picture.rgb.shape[:2], np.bool_)
        for index in range(len(groups)):
            rim = self._widened(index, 0)
            self._open[rim.slices] |= masks.feather(self._mask_within(index, rim), feather_px) > 0

    @property
    def holes(self) -> int:
        return len(self._groups)

    def share(self, index: int) -> float:
        """Roughly how much of all the work hole `index` is, 0..1."""
        areas = [group.box.width * group.box.height for group in self._groups]
        return areas[index] / sum(areas)

    def fill(self, index: int) -> Filled:
        """Fill hole `index` and blend it in.

        Raises:
            NothingToFillFrom: the holes are the whole picture.
        """
        group = self._groups[index]
        rim = self._widened(index, 0)
        fill = registry.choose(self._method, self._mask_within(index, rim))
        longer_px = max(group.box.width, group.box.height)
        view = self._widened(index, fill.margin_px(longer_px) if self._look_px is None else self._look_px)
        mask = self._mask_within(index, view)
        hole = self._open[view.slices].copy()
        before = self._rgb[view.slices]
        patch = images.from_uint8(fill.fill(images.to_uint8(before), hole, self._seed))
        self._rgb[view.slices] = masks.paste_back(before, patch, mask, feather_px=self._feather_px)
        if self._alpha is not None:
            self._fill_alpha(self._alpha[view.slices], hole, mask)
        self._open[view.slices] &= masks.feather(mask, self._feather_px) == 0
        return Filled(method=fill.name, is_coarse=fill.is_coarse(hole))

    def thumbnail(self) -> Bytes:
        """A small copy of the picture as it is now, for a preview."""
        return images.thumbnail(self._rgb)

    def result(self) -> Picture:
        """The picture as it is now; equal to the original outside the holes and their soft edges."""
        return Picture(self._rgb, self._alpha, self._depth_bits, self._origin)

    def _fill_alpha(self, alpha: Floats, hole: Mask, mask: Mask) -> None:
        """Carry the transparency around the hole into it: what stood on nothing leaves nothing behind."""
        grey = np.repeat(alpha[..., None], 3, axis=2)
        patch = images.from_uint8(TELEA.fill(images.to_uint8(grey), hole, self._seed))
        alpha[:] = masks.paste_back(grey, patch, mask, feather_px=self._feather_px)[..., 0]

    def _widened(self, index: int, margin_px: int) -> Box:
        height, width = self._rgb.shape[:2]
        return self._groups[index].box.widened(self._feather_px + margin_px, width, height)

    def _mask_within(self, index: int, view: Box) -> Mask:
        group = self._groups[index]
        mask = np.zeros((view.height, view.width), np.bool_)
        left, top = group.box.x - view.x, group.box.y - view.y
        mask[top : top + group.box.height, left : left + group.box.width] = group.mask
        return mask
