"""RestoreFormer: a face is read, looked up in a dictionary of whole faces, and painted with attention to what was read.

    face -> encoder -> nearest words of the dictionary -> decoder, which attends to the encoder's features -> face

Parameter names are those of the published state dict (`RestoreFormer.pth`).

Source: Wang et al., "RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs", 2022; the
encoder and decoder are of Esser et al., "Taming Transformers for High-Resolution Image Synthesis", 2021.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS: Final = 32
_EPSILON: Final = 1e-6
_HEADS: Final = 8
_MULTIPLES: Final = (1, 2, 2, 4, 4, 8)
_BLOCKS: Final = 2


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, channels, eps=_EPSILON)


class Residual(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm1(features)))
        inner = self.conv2(functional.silu(self.norm2(inner)))
        shortcut: Tensor = self.nin_shortcut(features) if hasattr(self, "nin_shortcut") else features
        added: Tensor = shortcut + inner
        return added


class Attention(nn.Module):
    """Attention over places, asked by the features themselves or by others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = _norm(channels)
        self.norm2 = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, asking: Tensor | None = None) -> Tensor:
        normed = self.norm1(features)
        query = self.q(normed if asking is None else self.norm2(asking))
        key, value = self.k(normed), self.v(normed)
        attended = functional.scaled_dot_product_attention(_by_head(query), _by_head(key), _by_head(value))
        back: Tensor = self.proj_out(attended.transpose(2, 3).reshape(features.shape))
        return features + back


def _by_head(values: Tensor) -> Tensor:
    """(N, C, H, W) to (N, heads, H * W, C / heads)."""
    return values.reshape(values.shape[0], _HEADS, values.shape[1] // _HEADS, -1).transpose(2, 3)


class _Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = Residual(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = Residual(channels, channels)


class _Down(nn.Module):
    """One size of the encoder; then half of it, but at the end."""

    def __init__(self, inputs: int, outputs: int, *, attends: bool, is_last: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(Residual(inputs if not number else outputs, outputs) for number in range(_BLOCKS))
        self.attn = nn.ModuleList(Attention(outputs) for _ in range(_BLOCKS if attends else 0))
        if not is_last:
            self.downsample = nn.ModuleDict({"conv": nn.Conv2d(outputs, outputs, 3, stride=2)})

    def forward(self, features: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            features = block(features)
            if self.attn:
                features = self.attn[number](features)
        if hasattr(self, "downsample"):
            features = self.downsample["conv"](functional.pad(features, (0, 1, 0, 1)))
        return features


class _Up(nn.Module):
    """One size of the decoder; then twice that, but at the end."""

    def __init__(self, inputs: int, outputs: int, *, attends: bool, is_last: bool) -> None:
        super().__init__()
        count = _BLOCKS + 1
        self.block = nn.ModuleList(Residual(inputs if not number else outputs, outputs) for number in range(count))
        self.attn = nn.ModuleList(Attention(outputs) for _ in range(count if attends else 0))
        if not is_last:
            self.upsample = nn.ModuleDict({"conv": nn.Conv2d(outputs, outputs, 3, padding=1)})

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            features = block(features)
            if self.attn:
                features = self.attn[number](features, seen)
        if hasattr(self, "upsample"):
            features = self.upsample["conv"](functional.interpolate(features, scale_factor=2.0, mode="nearest"))
        return features


class _Encoder(nn.Module):
    def __init__(self, channels: Sequence[int], word: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        last = len(channels) - 1
        self.down = nn.ModuleList(
            _Down(channels[max(level - 1, 0)], count, attends=level == last, is_last=level == last)
            for level, count in enumerate(channels)
        )
        self.mid = _Middle(channels[-1])
        self.norm_out = _norm(channels[-1])
        self.conv_out = nn.Conv2d(channels[-1], word, 3, padding=1)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What was read, and the features before and after the attention in the middle."""
        features = self.conv_in(face)
        for level in self.down:
            features = level(features)
        before: Tensor = self.mid.block_1(features)
        after: Tensor = self.mid.block_2(self.mid.attn_1(before))
        return self.conv_out(functional.silu(self.norm_out(after))), before, after


class _Decoder(nn.Module):
    def __init__(self, channels: Sequence[int], word: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(word, channels[-1], 3, padding=1)
        self.mid = _Middle(channels[-1])
        last = len(channels) - 1
        self.up = nn.ModuleList(
            _Up(channels[min(level + 1, last)], count, attends=level == last, is_last=level == 0)
            for level, count in enumerate(channels)
        )
        self.norm_out = _norm(channels[0])
        self.conv_out = nn.Conv2d(channels[0], 3, 3, padding=1)

    def forward(self, words: Tensor, before: Tensor, after: Tensor) -> Tensor:
        features = self.mid.block_1(self.conv_in(words))
        features = self.mid.block_2(self.mid.attn_1(features, after))
        for level in reversed(self.up):
            features = level(features, before)
        restored: Tensor = self.conv_out(functional.silu(self.norm_out(features)))
        return restored


class _Dictionary(nn.Module):
    def __init__(self, words: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, length)

    def forward(self, read: Tensor) -> Tensor:
        """The nearest word at each place."""
        places = read.movedim(1, -1)
        nearest = torch.cdist(places.flatten(0, 2).float(), self.embedding.weight.float()).argmin(dim=1)
        found: Tensor = self.embedding(nearest)
        return found.view(places.shape).movedim(-1, 1)


class RestoreFormer(nn.Module):
    """Restores a face.

    Args:
        width: channels at the full size; a multiple of 32.
        words: in the dictionary.
        length: of a word.
    """

    def __init__(self, *, width: int = 64, words: int = 1024, length: int = 256) -> None:
        super().__init__()
        channels = [width * multiple for multiple in _MULTIPLES]
        self.encoder = _Encoder(channels, length)
        self.decoder = _Decoder(channels, length)
        self.quantize = _Dictionary(words, length)
        self.quant_conv = nn.Conv2d(length, length, 1)
        self.post_quant_conv = nn.Conv2d(length, length, 1)

    def forward(self, face: Tensor) -> Tensor:
        """(N, 3, side, side) in [-1, 1] to the same, about in [-1, 1]; the side a multiple of 32, meant to be 512."""
        read, before, after = self.encoder(face)
        words = self.post_quant_conv(self.quantize(self.quant_conv(read)))
        restored: Tensor = self.decoder(words, before, after)
        return restored
