"""Cut a picture into tiles that overlap, so that a network can do them one by one and no seam shows."""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Rows `top` to `bottom` and columns `left` to `right` of the input picture, the ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def area(self) -> int:
        return self.height * self.width


def cut(span: Span, tile_px: int) -> list[Span]:
    """Divide `span` into tiles of about equal size, at most `tile_px` a side, row by row.

    Equal, since a network takes about as long for a sliver as for half a tile.
    """
    rows, columns = _edges(span.top, span.bottom, tile_px), _edges(span.left, span.right, tile_px)
    return [
        Span(top, left, bottom, right)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


def widen(span: Span, margin_px: int, within: Span) -> Span:
    """`span` and `margin_px` around it, as far as there is picture: what a network is shown to fill `span`."""
    return Span(
        max(span.top - margin_px, within.top),
        max(span.left - margin_px, within.left),
        min(span.bottom + margin_px, within.bottom),
        min(span.right + margin_px, within.right),
    )


def _edges(start: int, end: int, step: int) -> list[int]:
    count = max(1, -(-(end - start) // step))
    return [start + (end - start) * number // count for number in range(count + 1)]
