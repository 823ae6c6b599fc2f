"""GFPGAN, the clean version: a U-Net reads a damaged face, and a face generator paints a whole one from what it read.

    picture -> U-Net down -> style codes -> generator -> picture
                  |                            ^
                  U-Net up -> scale and shift -+  of half of the generator's channels, at each size

Parameter names are those of the published state dict (`GFPGANv1.4.pth`). The generator's noise is the one that the
file holds, so a face comes out the same each time.

Source: Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", 2021; the generator is
of Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE: Final = 0.2
_SMALLEST_PX: Final = 4
_MOST_CHANNELS: Final = 512
_MLP_LAYERS: Final = 8
_TINY: Final = 1e-8


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, _SLOPE)


def _scaled(features: Tensor, factor: float) -> Tensor:
    return functional.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)


class Resizing(nn.Module):
    """A residual block that halves or doubles the size."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self._factor = factor

    def forward(self, features: Tensor) -> Tensor:
        inner = _leaky(self.conv2(_scaled(_leaky(self.conv1(features)), self._factor)))
        shortcut: Tensor = self.skip(_scaled(features, self._factor))
        return inner + shortcut


class Modulated(nn.Module):
    """A convolution whose weights a style code scales, input channel by input channel."""

    def __init__(self, inputs: int, outputs: int, side: int, code: int, *, demodulates: bool, doubles: bool) -> None:
        super().__init__()
        self.modulation = nn.Linear(code, inputs)
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, side, side) / (inputs * side**2) ** 0.5)
        self._demodulates = demodulates
        self._doubles = doubles

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        count, inputs = features.shape[:2]
        weight = self.weight * self.modulation(style).view(count, 1, inputs, 1, 1)
        if self._demodulates:
            weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + _TINY)
        if self._doubles:
            features = _scaled(features, 2.0)
        side = weight.shape[-1]
        # Each picture has weights of its own: as groups of one convolution.
        grouped = features.reshape(1, -1, *features.shape[2:])
        made = functional.conv2d(grouped, weight.reshape(-1, inputs, side, side), padding=side // 2, groups=count)
        return made.view(count, -1, *made.shape[2:])


class Styled(nn.Module):
    """A modulated convolution, noise and an activation."""

    def __init__(self, inputs: int, outputs: int, code: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.modulated_conv = Modulated(inputs, outputs, 3, code, demodulates=True, doubles=doubles)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, features: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        convolved: Tensor = self.modulated_conv(features, style)
        return _leaky(convolved * 2**0.5 + self.weight * noise + self.bias)


class ToRgb(nn.Module):
    """From features to colours, on top of those of half the size."""

    def __init__(self, inputs: int, code: int) -> None:
        super().__init__()
        self.modulated_conv = Modulated(inputs, 3, 1, code, demodulates=False, doubles=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, features: Tensor, style: Tensor, smaller: Tensor | None) -> Tensor:
        colours: Tensor = self.modulated_conv(features, style) + self.bias
        return colours if smaller is None else colours + _scaled(smaller, 2.0)


class _Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, _SMALLEST_PX, _SMALLEST_PX))


class Generator(nn.Module):
    """Paints a face from style codes, led by scales and shifts."""

    def __init__(self, channels: Sequence[int], code: int) -> None:
        super().__init__()
        # Not used with codes that the U-Net made, but in the file.
        layers: list[nn.Module] = [nn.Identity()]
        for _ in range(_MLP_LAYERS):
            layers += [nn.Linear(code, code), nn.LeakyReLU(_SLOPE)]
        self.style_mlp = nn.Sequential(*layers)
        self.constant_input = _Constant(channels[0])
        self.style_conv1 = Styled(channels[0], channels[0], code)
        self.to_rgb1 = ToRgb(channels[0], code)
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.noises = nn.Module()
        self.noises.register_buffer("noise0", torch.randn(1, 1, _SMALLEST_PX, _SMALLEST_PX))
        for level, (inputs, outputs) in enumerate(pairwise(channels)):
            self.style_convs.append(Styled(inputs, outputs, code, doubles=True))
            self.style_convs.append(Styled(outputs, outputs, code))
            self.to_rgbs.append(ToRgb(outputs, code))
            side = _SMALLEST_PX << (level + 1)
            for number in (2 * level + 1, 2 * level + 2):
                self.noises.register_buffer(f"noise{number}", torch.randn(1, 1, side, side))

    def forward(self, codes: Tensor, scales: Sequence[Tensor], shifts: Sequence[Tensor]) -> Tensor:
        noises = [self.noises.get_buffer(f"noise{number}") for number in range(len(self.style_convs) + 1)]
        features = self.constant_input.weight.expand(codes.shape[0], -1, -1, -1)
        features = self.style_conv1(features, codes[:, 0], noises[0])
        colours: Tensor = self.to_rgb1(features, codes[:, 1], None)
        for level, (scale, shift) in enumerate(zip(scales, shifts, strict=True)):
            first = 2 * level
            features = self.style_convs[first](features, codes[:, first + 1], noises[first + 1])
            kept, led = features.chunk(2, dim=1)
            features = torch.cat((kept, led * scale + shift), dim=1)
            features = self.style_convs[first + 1](features, codes[:, first + 2], noises[first + 2])
            colours = self.to_rgbs[level](features, codes[:, first + 3], colours)
        return colours


class GfpGan(nn.Module):
    """Restores a face.

    Args:
        side_px: of the pictures; a power of two, at least 8. The published one has 512.
        width: share of the published number of channels.
    """

    def __init__(self, *, side_px: int = 512, width: float = 1.0) -> None:
        super().__init__()
        sides = [_SMALLEST_PX << level for level in range((side_px // _SMALLEST_PX).bit_length())]
        wide = [int(min(_MOST_CHANNELS, 2**15 // side) * width) for side in sides]
        narrow = [count // 2 for count in wide]
        code = wide[0]
        self.conv_body_first = nn.Conv2d(3, narrow[-1], 1)
        down = list(reversed(narrow))
        self.conv_body_down = nn.ModuleList(Resizing(a, b, 0.5) for a, b in pairwise(down))
        self.final_conv = nn.Conv2d(narrow[0], narrow[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(Resizing(a, b, 2.0) for a, b in pairwise(narrow))
        # Pictures at each size, of use in training only.
        self.toRGB = nn.ModuleList(nn.Conv2d(count, 3, 1) for count in narrow[1:])
        self._codes = 2 * len(sides)
        self.final_linear = nn.Linear(narrow[0] * _SMALLEST_PX**2, self._codes * code)
        self.stylegan_decoder = Generator(wide, code)
        self.condition_scale = nn.ModuleList(_leading(count) for count in narrow[1:])
        self.condition_shift = nn.ModuleList(_leading(count) for count in narrow[1:])

    def forward(self, face: Tensor) -> Tensor:
        """(N, 3, side, side) in [-1, 1] to the same, about in [-1, 1]."""
        features = _leaky(self.conv_body_first(face))
        seen = []
        for block in self.conv_body_down:
            features = block(features)
            seen.append(features)
        features = _leaky(self.final_conv(features))
        codes = self.final_linear(features.flatten(1)).view(face.shape[0], self._codes, -1)
        scales, shifts = [], []
        for block, scale, shift in zip(self.conv_body_up, self.condition_scale, self.condition_shift, strict=True):
            features = block(features + seen.pop())
            scales.append(scale(features))
            shifts.append(shift(features))
        restored: Tensor = self.stylegan_decoder(codes, scales, shifts)
        return restored


def _leading(count: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(count, count, 3, padding=1), nn.LeakyReLU(_SLOPE), nn.Conv2d(count, count, 3, padding=1)
    )
