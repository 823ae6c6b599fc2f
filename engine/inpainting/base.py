"""What a way of filling holes is."""

from typing import Protocol

from engine.images import Bytes
from engine.masks import Mask


class NothingToFillFrom(Exception):
    """The hole leaves no pixel of the picture to make its content from."""


class Fill(Protocol):
    """Makes content for a hole from what is around it. Called on side-pool threads, several at a time.

    A call with equal arguments gives equal pixels, whatever else runs at the same time.
    """

    @property
    def name(self) -> str: ...

    def margin_px(self, hole_side_px: int) -> int:
        """How much of the surroundings it wants to see around a hole whose longer side is `hole_side_px`."""
        ...

    def is_coarse(self, hole: Mask) -> bool:
        """Whether a hole like this is so large that it is filled at a lower resolution."""
        ...

    def fill(self, image: Bytes, hole: Mask, seed: int) -> Bytes:
        """Fill a hole.

        Args:
            image: (H, W, 3) uint8, RGB; its pixels inside the hole have no influence.
            hole: (H, W); not empty.
            seed: decides between equally good fills, where the method draws lots.

        Returns:
            (H, W, 3) uint8; outside the hole equal to `image`.

        Raises:
            NothingToFillFrom: the hole is the whole picture.
        """
        ...
