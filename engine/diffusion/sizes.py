"""At which size a model works for a picture of the size that was asked for.

A model makes sound pictures around the size it was trained at, and only at multiples of what its networks halve. What
comes out is enlarged, or made smaller, to the size asked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_SIDES: Final = 4
"""The longer side of what is generated is at most this many times the shorter one."""
_BLOCKS: Final = 16
"""Of the native side: 64 px of 1024."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width} x {self.height} px"


@dataclass(frozen=True, slots=True)
class WorkingSize:
    """What sizes a model works at.

    Attributes:
        native_px: side of the squares it was trained on.
        multiple: both sides have to be multiples of this.
        is_fixed: it knows no other area than that of those squares (a very small model).
    """

    native_px: int
    multiple: int
    is_fixed: bool = False

    def exactly(self, asked: Size) -> Size:
        """For a size somebody asked for in so many words: that, up to the next multiple."""
        return self.natively(asked) if self.is_fixed else self._rounded(asked.width, asked.height, math.ceil)

    def natively(self, asked: Size) -> Size:
        """The size nearest to the native area with about the sides of `asked`."""
        ratio = min(max(asked.width / asked.height, 1 / _MOST_SIDES), _MOST_SIDES)
        return self._rounded(self.native_px * math.sqrt(ratio), self.native_px / math.sqrt(ratio), round)

    def at_most(self, asked: Size, share: float) -> Size:
        """`asked` if its area is no more than `share` times the native one, else that much with the same sides."""
        if self.is_fixed:
            return self.natively(asked)
        scale = min(1.0, math.sqrt(share * self.native_px**2 / asked.area))
        return self._rounded(asked.width * scale, asked.height * scale, math.ceil if scale == 1.0 else round)

    @property
    def block_px(self) -> int:
        """A sixteenth of the native side, in whole multiples: what some ways to choose a size round to."""
        return max(1, self.native_px // _BLOCKS // self.multiple) * self.multiple

    def in_blocks(self, asked: Size) -> Size:
        """Like `natively`, with sides in whole blocks."""
        return self.natively(asked) if self.is_fixed else WorkingSize(self.native_px, self.block_px).natively(asked)

    def between(self, asked: Size, least: float, most: float) -> Size:
        """`asked` if the side of a square of its area lies between `least` and `most` native ones, up to a block more.

        Else the nearest size with about its sides that does, in whole blocks.
        """
        side = math.sqrt(asked.area)
        block = self.block_px
        upwards = math.ceil(side / block) * block
        lowest, highest = least * self.native_px, most * self.native_px
        if lowest <= upwards <= highest:
            return asked
        scale, whole = (lowest / side, math.ceil) if upwards < lowest else (highest / side, math.floor)
        width, height = (max(1, whole(length * scale / block)) * block for length in (asked.width, asked.height))
        return Size(int(width), int(height))

    def _rounded(self, width: float, height: float, whole: Callable[[float], int]) -> Size:
        width, height = (max(1, whole(side / self.multiple)) * self.multiple for side in (width, height))
        return Size(int(width), int(height))
