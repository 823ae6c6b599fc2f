"""Vectors in place of tokens, for one forward of a text encoder that other jobs share."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import torch
from torch import Tensor, nn

_BLOCK: Final = 1 << 16
_BLOCKS: Final = 1 << 14
_blocks: Final = count()


@contextmanager
def placeholders(table: nn.Module, vectors: Tensor) -> Iterator[int]:
    """While this is open, some ids below 0 stand for `vectors` in the embedding `table`.

    The ids are nobody else's, so it may stay open while the table is used by others, with or without placeholders
    of their own: they get what they would have got. Nothing is written to the table's weights. Below 0, because
    CLIP's older configurations take the highest id of a row for its end.

    Args:
        table: an `nn.Embedding`, or what an adapter made of one; takes ids of any shape.
        vectors: (n, width); n up to 65,536.

    Yields:
        The id of the first vector; the others follow downwards.
    """
    if len(vectors) > _BLOCK:
        raise ValueError(f"placeholders: {len(vectors)} vectors; at most {_BLOCK}")
    first = -1 - (next(_blocks) % _BLOCKS) * _BLOCK
    seen: list[Tensor] = []

    def hide(_table: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        ids: Tensor = args[0]
        rows = first - ids
        rows = torch.where((rows >= 0) & (rows < len(vectors)), rows, -1)
        seen[:] = [rows]
        return (ids.masked_fill(rows >= 0, 0), *args[1:])

    def fill(_table: nn.Module, _args: tuple[Any, ...], given: Tensor) -> Tensor:
        rows = seen.pop()
        ours = rows >= 0
        return given.index_put((ours,), vectors.to(given.device, given.dtype)[rows[ours]])

    # Both run in the table's call: no other call of it comes between them.
    hooks = [table.register_forward_pre_hook(hide), table.register_forward_hook(fill)]
    try:
        yield first
    finally:
        for hook in hooks:
            hook.remove()
