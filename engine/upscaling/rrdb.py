"""The ESRGAN generator: residual in residual dense blocks, then twice a nearest-neighbour doubling and a convolution.

Parameter names are those of the published state dicts (`RRDBNet`).

Source: Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS: Final = 3
NEGATIVE_SLOPE: Final = 0.2
_RESIDUAL_SCALE: Final = 0.2
_DENSE_CONVOLUTIONS: Final = 5
CONVOLUTIONS_PER_BLOCK: Final = 3 * _DENSE_CONVOLUTIONS
CONVOLUTIONS_OUTSIDE_BLOCKS: Final = 6


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, NEGATIVE_SLOPE, inplace=True)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(width + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(width + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        seen = [features]
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen.append(_leaky(convolution(torch.cat(seen, 1))))
        residual: Tensor = self.conv5(torch.cat(seen, 1))
        return features + _RESIDUAL_SCALE * residual


class ResidualBlock(nn.Module):
    """Three dense blocks and a shortcut around them."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, features: Tensor) -> Tensor:
        residual: Tensor = self.rdb3(self.rdb2(self.rdb1(features)))
        return features + _RESIDUAL_SCALE * residual


class RrdbNet(nn.Module):
    """Enlarges four times.

    Args:
        width: channels of the trunk.
        growth: channels each dense convolution adds.
        blocks: residual blocks.
    """

    scale: Final = 4
    # Its true reach is hundreds of pixels. Measured on fur, tiles of 80 px: with a margin of 16 px the seam is a step
    # of two thirds of the contrast between neighbouring pixels; with 24 px and a fade of 8 px no step is left.
    reach_px: Final = 24
    fade_px: Final = 8

    def __init__(self, *, width: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_up2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, CHANNELS, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, 4 H, 4 W), about in [0, 1]."""
        first = self.conv_first(pixels)
        features: Tensor = first + self.conv_body(self.body(first))
        features = _leaky(self.conv_up1(functional.interpolate(features, scale_factor=2.0, mode="nearest")))
        features = _leaky(self.conv_up2(functional.interpolate(features, scale_factor=2.0, mode="nearest")))
        enlarged: Tensor = self.conv_last(_leaky(self.conv_hr(features)))
        return enlarged
