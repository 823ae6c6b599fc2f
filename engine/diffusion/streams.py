"""A module too large for the device, run there piece by piece: each comes for its own forward.

diffusers' group offloading does the same. It is not used: it takes the modules' forwards, which are intercepted here,
and takes them anew whenever a LoRA is loaded.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from torch import nn

from engine.diffusion.guests import Guests
from engine.diffusion.movable import Movable, Mover, bytes_of, tensors_of

PIECE_BYTES: Final = 128 << 20
"""A piece is cut further while it is larger, as long as it is made of blocks."""


class Stream:
    """One module in pieces. For the executor thread.

    Pieces stay on the device as long as the largest of them still finds room beside those; the first ones, therefore.

    Attributes:
        frame: what is in none of the blocks; wanted through the whole forward.
        pieces: the blocks, or what is in none of their own blocks.
    """

    def __init__(self, module: nn.Module, mover: Mover, guests: Guests, piece_bytes: int = PIECE_BYTES) -> None:
        self._guests = guests
        self.frame, *self.pieces = (Movable(owner, mover, blocks) for owner, blocks in _cut(module, piece_bytes))
        self._largest_bytes = max((piece.size_bytes for piece in self.pieces), default=0)
        self._hooks = [hook for piece in self.pieces for hook in self._hook(piece)]

    def all(self) -> tuple[Movable, ...]:
        return (self.frame, *self.pieces)

    def _hook(self, piece: Movable) -> Iterator[Any]:
        def come(_owner: nn.Module, _given: Any) -> None:
            self._guests.enter(piece)

        def go(_owner: nn.Module, _given: Any, _made: Any) -> None:
            self._guests.leave(piece, needed_bytes=self._largest_bytes)

        yield piece.module.register_forward_pre_hook(come)
        yield piece.module.register_forward_hook(go, always_call=True)


def _cut(module: nn.Module, piece_bytes: int) -> Iterator[tuple[nn.Module, list[nn.Module]]]:
    """Pairs of a module and those within it that are pieces of their own; the whole first."""
    blocks = [block for block in _blocks(module) if any(True for _ in tensors_of(block))]
    if sum(bytes_of(tensor) for tensor in tensors_of(module)) <= piece_bytes:
        blocks = []
    yield module, blocks
    for block in blocks:
        yield from _cut(block, piece_bytes)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """What stands in lists, which are no modules to be called but hold some."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            # Some lists have gaps, where a stage does without a layer.
            yield from (block for block in cast("Iterable[nn.Module | None]", child) if block is not None)
        else:
            yield from _blocks(child)
