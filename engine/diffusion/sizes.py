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

    def _rounded(self, width: float, height: float, whole: Callable[[float], int]) -> Size:
        width, height = (max(1, whole(side / self.multiple)) * self.multiple for side in (width, height))
        return Size(int(width), int(height))
