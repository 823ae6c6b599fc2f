"""The image encoder: TinyViT of five million parameters, with the neck that Segment Anything expects.

Cut into pieces that run one after the other, so that more urgent work gets in between.

Source: Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", 2022, as trained in
Zhang et al., "Faster Segment Anything: Towards Lightweight SAM for Mobile Applications", 2023.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

_MLP_RATIO: Final = 4
_EXPANSION: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSize:
    """One of the four stages.

    Attributes:
        width: channels.
        depth: blocks.
        heads, window: of the attention; 0 for the first stage, which is convolutional.
        is_reduced: whether the stage ends by halving the resolution.
    """

    width: int
    depth: int
    heads: int = 0
    window: int = 0
    is_reduced: bool = False


TINY_VIT_5M: Final = (
    StageSize(width=64, depth=2, is_reduced=True),
    StageSize(width=128, depth=2, heads=4, window=7, is_reduced=True),
    StageSize(width=160, depth=6, heads=5, window=14),
    StageSize(width=320, depth=2, heads=10, window=7),
)


class ConvNorm(nn.Sequential):
    """A convolution without bias and a batch normalisation."""

    c: nn.Module
    bn: nn.Module

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module("c", nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(outputs))

    def fuse(self) -> None:
        """Put the normalisation into the convolution's weights; for inference, after loading. Equal to rounding."""
        convolution, norm = self.c, self.bn
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        self.c = fuse_conv_bn_eval(convolution, norm)
        self.bn = nn.Identity()


class ConvBlock(nn.Module):
    """Expand, convolve each channel, project back, around a shortcut (MBConv). (N, C, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width * _EXPANSION
        self.conv1 = ConvNorm(width, hidden, 1)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self.conv2(functional.gelu(self.conv1(x))))
        return functional.gelu(x + self.conv3(hidden))


class Downsample(nn.Module):
    """From one stage to the next: other channels, and half the resolution if `stride` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv3(functional.gelu(self.conv2(functional.gelu(self.conv1(x)))))
        return out


class WindowAttention(nn.Module):
    """Self-attention within a window, with a learned bias for each distance between two places in it."""

    offsets: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        apart = (places[:, None] - places[None]).abs()
        self.register_buffer("offsets", apart[..., 0] * window + apart[..., 1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(windows, window * window, C) to the same."""
        count, length, width = x.shape
        # For each head its query, key and value lie side by side.
        mixed = self.qkv(self.norm(x)).view(count, length, self.heads, 3, width // self.heads)
        query, key, value = mixed.permute(3, 0, 2, 1, 4)
        bias = self.attention_biases[:, self.offsets].to(query.dtype)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(count, length, width))
        return projected


class Mlp(nn.Module):
    """Two linear layers after a normalisation, over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, width * _MLP_RATIO)
        self.fc2 = nn.Linear(width * _MLP_RATIO, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return out


class AttentionBlock(nn.Module):
    """Attention in windows, a convolution over their borders, an MLP. (N, C, H, W) to the same."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.mlp = Mlp(width)
        self.local_conv = ConvNorm(width, width, 3, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.local_conv(x)
        mixed: Tensor = self.mlp(x.permute(0, 2, 3, 1))
        return x + mixed.permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same; zeros fill the windows that reach beyond the edge."""
        batch, height, width, channels = x.shape
        side = self.window
        padded = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = padded.shape[1] // side, padded.shape[2] // side
        windows = padded.view(batch, rows, side, columns, side, channels).transpose(2, 3)
        attended = self.attn(windows.reshape(-1, side * side, channels))
        attended = attended.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        whole: Tensor = attended.reshape(batch, rows * side, columns * side, channels)
        return whole[:, :height, :width]


class Stage(nn.Module):
    """Blocks of one resolution, and the way to the next stage if there is one."""

    def __init__(self, size: StageSize, next_width: int | None) -> None:
        super().__init__()
        if size.window:
            self.blocks = nn.ModuleList(AttentionBlock(size.width, size.heads, size.window) for _ in range(size.depth))
        else:
            self.blocks = nn.ModuleList(ConvBlock(size.width) for _ in range(size.depth))
        if next_width is not None:
            self.downsample = Downsample(size.width, next_width, 2 if size.is_reduced else 1)

    def pieces(self) -> list[Callable[[Tensor], Tensor]]:
        return [*self.blocks, *([self.downsample] if hasattr(self, "downsample") else [])]


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normal = functional.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, eps=1e-6)
        return normal.permute(0, 3, 1, 2)


class PatchEmbed(nn.Module):
    """(N, 3, H, W) to (N, width, H / 4, W / 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, width // 2, 3, stride=2), nn.GELU(), ConvNorm(width // 2, width, 3, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.seq(x)
        return out


class TinyViT(nn.Module):
    """The encoder: (1, 3, 1024, 1024) normalised pixels to (1, 256, 64, 64) features."""

    def __init__(self, sizes: Sequence[StageSize] = TINY_VIT_5M, *, out_width: int = 256) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(sizes[0].width)
        next_widths = [*(size.width for size in sizes[1:]), None]
        self.layers = nn.ModuleList(
            Stage(size, next_width) for size, next_width in zip(sizes, next_widths, strict=True)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(sizes[-1].width, out_width, 1, bias=False),
            ChannelNorm(out_width),
            nn.Conv2d(out_width, out_width, 3, padding=1, bias=False),
            ChannelNorm(out_width),
        )

    def pieces(self) -> list[Callable[[Tensor], Tensor]]:
        """What `forward` does, as functions to be run one after the other, each on what the last one gave."""
        stages = [piece for stage in self.layers if isinstance(stage, Stage) for piece in stage.pieces()]
        return [self.patch_embed, *stages, self.neck]

    def forward(self, x: Tensor) -> Tensor:
        for piece in self.pieces():
            x = piece(x)
        return x
