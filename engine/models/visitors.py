"""What else is on the device beside the networks that stay there."""

from dataclasses import dataclass
from typing import Protocol


class Visitors(Protocol):
    """Parts of models that are on the device for their calls only; see `engine.diffusion.guests.Guests`."""

    @property
    def present_bytes(self) -> int: ...

    def make_way(self, size_bytes: int) -> None:
        """Leave until there is room for this much, or nobody is left who is not at work."""
        ...


@dataclass(frozen=True, slots=True)
class NoVisitors:
    """Where every model is on the device as a whole."""

    present_bytes: int = 0

    def make_way(self, size_bytes: int) -> None:
        """Nobody is here."""
