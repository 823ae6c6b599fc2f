"""The image encoder of Segment Anything: a plain vision transformer that mostly looks within windows.

Cut into pieces that run one after the other, so that more urgent work gets in between.

Source: Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", 2022, as trained in
Kirillov et al., "Segment Anything", 2023; the relative positions are those of Li et al., "MViTv2", 2022.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.segmentation.tiny_vit import ChannelNorm

_MLP_RATIO: Final = 4
_EPS: Final = 1e-6
_MOST_WEIGHTS: Final = 1 << 26
"""Of an attention's matrix at once, 256 MB; the largest published one would take 1 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitSize:
    """One of the published sizes.

    Attributes:
        width: channels.
        depth: blocks.
        global_blocks: those that look at the whole picture.
        window: places a side that the other blocks look at.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    patch_px: int = 16


VIT_B: Final = VitSize(width=768, depth=12, heads=12, global_blocks=(2, 5, 8, 11))
VIT_L: Final = VitSize(width=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23))
VIT_H: Final = VitSize(width=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31))


class RelativeAttention(nn.Module):
    """Self-attention over a square, with a learned term for each distance between two rows and two columns.

    Args:
        side: of the square, in places.
    """

    apart: Tensor

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        places = torch.arange(side)
        self.register_buffer("apart", places[:, None] - places[None] + side - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(squares, side, side, C) to the same."""
        count, rows, columns, width = x.shape
        mixed = self.qkv(x).view(count, rows * columns, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        at_once = max(1, _MOST_WEIGHTS // (count * (rows * columns) ** 2))
        seen = [
            functional.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q, rows, columns))
            for q, k, v in zip(*(part.split(at_once, dim=1) for part in (query, key, value)), strict=True)
        ]
        out: Tensor = self.proj(torch.cat(seen, dim=1).transpose(1, 2).reshape(count, rows, columns, width))
        return out

    def _bias(self, query: Tensor, rows: int, columns: int) -> Tensor:
        """(squares, heads, rows * columns, C) to what is added to each of these queries' weights."""
        placed = query.reshape(*query.shape[:2], rows, columns, -1)
        by_row = torch.einsum("nhyxc,yjc->nhyxj", placed, self.rel_pos_h[self.apart])
        by_column = torch.einsum("nhyxc,xic->nhyxi", placed, self.rel_pos_w[self.apart])
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)


class VitMlp(nn.Module):
    """Two linear layers over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, width * _MLP_RATIO)
        self.lin2 = nn.Linear(width * _MLP_RATIO, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(functional.gelu(self.lin1(x)))
        return out


class VitBlock(nn.Module):
    """Attention and an MLP, each around a shortcut. (N, H, W, C) to the same.

    Args:
        window: side of the windows attention stays in; 0 has it look at everything.
        side: of everything, in places.
    """

    def __init__(self, width: int, heads: int, window: int, side: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = RelativeAttention(width, heads, window or side)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = VitMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        normal = self.norm1(x)
        x = x + (self._within_windows(normal) if self.window else self.attn(normal))
        mixed: Tensor = self.mlp(self.norm2(x))
        return x + mixed

    def _within_windows(self, x: Tensor) -> Tensor:
        """Attend; zeros fill the windows that reach beyond the edge."""
        batch, height, width, channels = x.shape
        side = self.window
        padded = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = padded.shape[1] // side, padded.shape[2] // side
        windows = padded.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        attended: Tensor = self.attn(windows.reshape(-1, side, side, channels))
        whole = attended.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        return whole.reshape(batch, rows * side, columns * side, channels)[:, :height, :width]


class PatchProjection(nn.Module):
    """(N, 3, H, W) to (N, H / patch, W / patch, C)."""

    def __init__(self, width: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch_px, patch_px)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x).permute(0, 2, 3, 1)
        return out


class VitEncoder(nn.Module):
    """The encoder: (1, 3, side, side) normalised pixels to (1, out_width, side / patch, side / patch) features."""

    def __init__(self, size: VitSize, *, side_px: int = 1024, out_width: int = 256) -> None:
        super().__init__()
        self.size = size
        side = side_px // size.patch_px
        self.patch_embed = PatchProjection(size.width, size.patch_px)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, size.width))
        self.blocks = nn.ModuleList(
            VitBlock(size.width, size.heads, 0 if number in size.global_blocks else size.window, side)
            for number in range(size.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(size.width, out_width, 1, bias=False),
            ChannelNorm(out_width),
            nn.Conv2d(out_width, out_width, 3, padding=1, bias=False),
            ChannelNorm(out_width),
        )

    def pieces(self) -> list[Callable[[Tensor], Tensor]]:
        """What `forward` does, as functions to be run one after the other, each on what the last one gave."""
        return [self._begin, *self.blocks, self._end]

    def forward(self, x: Tensor) -> Tensor:
        for piece in self.pieces():
            x = piece(x)
        return x

    def _begin(self, pixels: Tensor) -> Tensor:
        placed: Tensor = self.patch_embed(pixels) + self.pos_embed
        return placed

    def _end(self, x: Tensor) -> Tensor:
        features: Tensor = self.neck(x.permute(0, 3, 1, 2))
        return features
