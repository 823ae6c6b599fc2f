"""What text encoders make of a prompt: it is cut, put in a row with others, and weighed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from engine.diffusion.prompt_chunks import Chunk

_LEAST_MEAN: Final = 1e-4
"""Of states, as a share of their size: a smaller one is no more than rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """One prompt, encoded.

    Attributes:
        states: for each encoder (1, chunks x its length, its width).
        pooled: of the first chunk, by the last encoder that has one.
    """

    states: tuple[Tensor, ...]
    pooled: Tensor | None
    chunks: int
    is_truncated: bool

    def cut(self, chunks: int) -> "EncodedPrompt":
        """Its first chunks, so many at most."""
        if self.chunks <= chunks:
            return self
        states = tuple(each[:, : each.shape[1] // self.chunks * chunks] for each in self.states)
        return EncodedPrompt(states, self.pooled, chunks, is_truncated=True)

    @property
    def size_bytes(self) -> int:
        held = (*self.states, *(() if self.pooled is None else (self.pooled,)))
        return sum(tensor.numel() * tensor.element_size() for tensor in held)


def in_a_row(texts: Sequence[EncodedPrompt], *, told: int) -> EncodedPrompt:
    """Several texts as one prompt.

    Args:
        told: so many of them, from the first on, count for the pooled output.
    """
    states = tuple(torch.cat(each, dim=1) for each in zip(*(text.states for text in texts), strict=True))
    pooled = [text.pooled for text in texts[:told] if text.pooled is not None]
    return EncodedPrompt(
        states,
        torch.stack(pooled).sum(dim=0) if pooled else None,
        sum(text.chunks for text in texts),
        any(text.is_truncated for text in texts),
    )


def weighted(states: Tensor, empty: Tensor, chunk: Chunk, *, keeps_mean: bool) -> Tensor:
    """(1, tokens, width): each token's states moved away from those of the empty prompt, by its weight.

    Args:
        keeps_mean: then all are multiplied so that their mean is as it was; not if it has become about 0.
    """
    weights = torch.tensor(chunk.weights, device=states.device).reshape(1, -1, 1)
    moved = empty + (states.float() - empty) * weights
    if keeps_mean:
        was, has_become = states.float().mean(), moved.mean()
        is_something = bool(has_become.abs() > _LEAST_MEAN * moved.abs().mean())
        return (moved * (was / has_become) if is_something else moved).to(states.dtype)
    # Where the weight is 1 nothing is rounded.
    return torch.where(weights == 1.0, states, moved.to(states.dtype))
