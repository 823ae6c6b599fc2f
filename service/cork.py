"""Lets a batch of events leave in one write per socket: a write is what telling a viewer costs most."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Corked(Protocol):
    """Holds frames back while the cork is in."""

    def flush(self) -> None:
        """Write what was held back. Never raises."""
        ...


class Cork:
    """In while the pump publishes a batch; nothing else runs on the event loop meanwhile, so nothing is overtaken."""

    def __init__(self) -> None:
        self.is_in = False
        self.holding: list[Corked] = []
        """Who has to be flushed when it comes out."""

    @contextmanager
    def put_in(self) -> Iterator[None]:
        self.is_in = True
        try:
            yield
        finally:
            self.is_in = False
            holding, self.holding = self.holding, []
            for each in holding:
                each.flush()
