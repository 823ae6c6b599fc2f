"""The transformer in the first half of `mat`: it looks only at what is known, and what it has seen becomes known.

Tokens are the pixels of feature maps, (1, H W, C) row by row; validity is (1, 1, H, W) of 0 and 1, and None where
everything counts.

Source: W. Li et al., MAT: Mask-aware transformer for large hole image inpainting, CVPR 2022, sections 3.3 and 3.4;
windows as in Z. Liu et al., Swin transformer, ICCV 2021. Names of the parts are those of the published weights.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.inpainting.stylegan import Convolution, Linear

_HEADS: Final = 6
_UNSEEN: Final = -100.0
"""Added to the score of what must not be looked at."""
_TINY: Final = 1e-8


def tokens(features: Tensor) -> Tensor:
    """(1, C, H, W) to (1, H W, C)."""
    return features.flatten(2).transpose(1, 2)


def features(sequence: Tensor, size: Sequence[int]) -> Tensor:
    """(1, H W, C) to (1, C, H, W)."""
    return sequence.transpose(1, 2).reshape(1, -1, *size)


class PartialConvolution(nn.Module):
    """A convolution that makes up for the unknown pixels under it by the known ones.

    Source: G. Liu et al., Image inpainting for irregular holes using partial convolutions, ECCV 2018.
    """

    def __init__(self, inputs: int, outputs: int, *, halves: bool = False, doubles: bool = False) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, 3, halves=halves, doubles=doubles)
        self._stride = 2 if halves else 1

    def forward(self, x: Tensor, validity: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The features, and the validity at their size: known is what has something known under it."""
        made = self.conv(x)
        if validity is None:
            return made, None
        ones = validity.new_ones(1, 1, 3, 3)
        known = functional.conv2d(validity, ones, stride=self._stride, padding=1)
        now_valid = known.clamp(0, 1)
        share = ones.numel() / (known.float() + _TINY) * now_valid.float()
        return made * share.to(made.dtype), now_valid


class Resize(nn.Module):
    """Tokens at half or twice the size."""

    def __init__(self, width: int, *, halves: bool = False, doubles: bool = False) -> None:
        super().__init__()
        self.conv = PartialConvolution(width, width, halves=halves, doubles=doubles)


class Attention(nn.Module):
    """Attention within windows. Queries and keys are normalised, so no token outweighs the others by its length."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q = Linear(width, width)
        self.k = Linear(width, width)
        self.v = Linear(width, width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, barred: Tensor) -> Tensor:
        """
        Args:
            x: (windows, N, C).
            barred: (windows, N or 1, N); is added to the scores.
        """
        direction = functional.normalize(x, dim=-1, eps=torch.finfo(x.dtype).eps)
        query, key, value = (
            each.unflatten(2, (_HEADS, -1)).transpose(1, 2)
            for each in (self.q(direction), self.k(direction), self.v(x))
        )
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=barred[:, None].to(query.dtype))
        out: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two layers, twice as wide between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, 2 * width, is_activated=True)
        self.fc2 = Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.fc1(x))
        return out


class Block(nn.Module):
    """Attention within windows, then each token for itself; joined by concatenation, not by addition.

    Args:
        window: its side, in tokens.
        shift: by how much the windows are moved, so that those of two blocks overlap.
    """

    def __init__(self, width: int, window: int, shift: int) -> None:
        super().__init__()
        self.attn = Attention(width)
        self.fuse = Linear(2 * width, width, is_activated=True)
        self.mlp = Mlp(width)
        self._window = window
        self._shift = shift

    def forward(self, x: Tensor, size: Sequence[int], validity: Tensor | None) -> tuple[Tensor, Tensor | None]:
        shifted = torch.roll(features(x, size), (-self._shift, -self._shift), (2, 3))
        windows = _windows(shifted, self._window)
        barred = self._across_the_seam(size, x)
        if validity is not None:
            moved = _windows(torch.roll(validity, (-self._shift, -self._shift), (2, 3)), self._window)
            barred = barred + (1 - moved.transpose(1, 2)) * _UNSEEN
            # A window that knows something lets all its tokens know it.
            shared = moved.amax(1, keepdim=True).expand_as(moved)
            validity = torch.roll(_whole(shared, self._window, size), (self._shift, self._shift), (2, 3))
        seen = _whole(self.attn(windows, barred), self._window, size)
        seen = tokens(torch.roll(seen, (self._shift, self._shift), (2, 3)))
        out: Tensor = self.mlp(self.fuse(torch.cat((x, seen), -1)))
        return out, validity

    def _across_the_seam(self, size: Sequence[int], like: Tensor) -> Tensor:
        """Keeps tokens apart that only the shift brought together from opposite borders: (windows, N, N)."""
        height, width = size
        if not self._shift:
            return like.new_zeros(1, 1, 1)
        rows, columns = (self._strip(side, like) for side in (height, width))
        place = _windows((rows[:, None] * 3 + columns)[None, None], self._window)
        return (place != place.transpose(1, 2)).to(like.dtype) * _UNSEEN

    def _strip(self, side: int, like: Tensor) -> Tensor:
        """Which of three strips each row, or column, belongs to: all but the last window, or either part of that."""
        at = torch.arange(side, device=like.device)
        return (at >= side - self._window).to(like.dtype) + (at >= side - self._shift).to(like.dtype)


class Stage(nn.Module):
    """Blocks at one size, and a convolution over what they made.

    Args:
        side: of the feature maps it was trained at: a window is not larger.
        resize: comes first.
    """

    def __init__(self, width: int, side: int, depth: int, window: int, resize: Resize | None) -> None:
        super().__init__()
        if resize is not None:
            self.downsample = resize
        is_whole = side <= window
        shifts = [0 if is_whole or index % 2 == 0 else window // 2 for index in range(depth)]
        self.blocks = nn.ModuleList(Block(width, min(side, window), shift) for shift in shifts)
        self.conv = PartialConvolution(width, width)
        self._has_resize = resize is not None

    def forward(self, x: Tensor, validity: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(1, C, H, W) to the same, at the stage's size."""
        if self._has_resize:
            x, validity = self.downsample.conv(x, validity)
        size = x.shape[2:]
        sequence = tokens(x)
        for block in self.blocks:
            sequence, validity = block(sequence, size, validity)
        made, validity = self.conv(features(sequence, size), validity)
        return made + x, validity


def _windows(x: Tensor, side: int) -> Tensor:
    """(1, C, H, W) to (windows, side side, C)."""
    _, channels, height, width = x.shape
    cut = x.view(channels, height // side, side, width // side, side)
    return cut.permute(1, 3, 2, 4, 0).reshape(-1, side * side, channels)


def _whole(windows: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """The opposite of `_windows`."""
    height, width = size
    cut = windows.view(height // side, width // side, side, side, -1)
    return cut.permute(4, 0, 2, 1, 3).reshape(1, -1, height, width)
