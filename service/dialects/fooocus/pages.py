"""Pages of long lists, as Fooocus' APIs count them."""

from dataclasses import dataclass
from typing import Final

_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        offset: how many items come before it.
        size: how many it may have.
    """

    offset: int
    size: int

    @classmethod
    def of(cls, number: int, size: int) -> "Page":
        """The page of that number, from 0 on; of at most 1000 items, and what is below 0 is taken for 0."""
        size = min(max(0, size), _MOST)
        return cls(max(0, number) * size, size)
