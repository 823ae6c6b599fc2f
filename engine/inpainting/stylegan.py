"""Layers of the StyleGAN2 family, as `mat` and `fcf` are made of them. For one picture at a time.

Weights are stored at unit scale and multiplied when they are used, by what keeps the variance of what goes through.
Every change of size goes through one small low-pass filter.

Source: T. Karras et al., Analyzing and improving the image quality of StyleGAN, CVPR 2020, sections 2 and 4 and
appendix B. The names of parameters are those of the published weights.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

FILTER_TAPS: Final = (1.0, 3.0, 3.0, 1.0)
_SLOPE: Final = 0.2
_GAIN: Final = math.sqrt(2)
_TINY: Final = 1e-8


def low_pass() -> Tensor:
    """The filter: (4, 4), symmetric, of sum 1."""
    taps = torch.tensor(FILTER_TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2


def smooth(x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """Filter each channel, with zeros around: (1, C, H, W) to (1, C, H + 2 padding - 3, W + 2 padding - 3)."""
    kernel = _kernel(x) * gain
    return functional.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def doubled(x: Tensor) -> Tensor:
    """A picture at twice its size, softly: (1, C, H, W) to (1, C, 2H, 2W)."""
    return functional.conv_transpose2d(x, _kernel(x) * 4, stride=2, padding=1, groups=x.shape[1])


def activated(x: Tensor, clamp: float | None = None) -> Tensor:
    """The leaky rectifier of the family, which keeps the variance."""
    x = functional.leaky_relu(x, _SLOPE) * _GAIN
    return x if clamp is None else x.clamp(-clamp, clamp)


def halving_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Filter, then keep every other place of a 3 x 3 convolution: (1, C, H, W) to (1, O, H/2, W/2)."""
    return functional.conv2d(smooth(x, 2), weight, stride=2)


def doubling_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Zeros between the pixels, a 3 x 3 convolution of that, then the filter: (1, C, H, W) to (1, O, 2H, 2W).

    Args:
        weight: (O, C, 3, 3), turned around with respect to what it is without doubling.
    """
    return smooth(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, gain=4)


def unit_moment(x: Tensor) -> Tensor:
    """(1, C) scaled so that the mean of its squares is 1; zeros stay."""
    return x * (x.square().mean(1, keepdim=True) + torch.finfo(x.dtype).eps).rsqrt()


class Linear(nn.Module):
    """A linear layer; (..., I) to (..., O).

    Args:
        is_activated: the leaky rectifier follows.
        rate: how much slower than others it learned; its weights are stored larger by that.
    """

    def __init__(self, inputs: int, outputs: int, *, is_activated: bool = False, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._is_activated = is_activated
        self._rate = rate

    def forward(self, x: Tensor) -> Tensor:
        scale = self._rate / math.sqrt(self.weight.shape[1])
        x = functional.linear(x, self.weight * scale, self.bias * self._rate)
        return activated(x) if self._is_activated else x


class Convolution(nn.Module):
    """A convolution and the leaky rectifier.

    Args:
        clamp: what comes out stays within this.
        halves, doubles: it changes the size, too.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        clamp: float | None = None,
        halves: bool = False,
        doubles: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.empty(outputs))
        self._clamp = clamp
        self._halves = halves
        self._doubles = doubles

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if self._halves:
            x = halving_convolution(x, weight)
        elif self._doubles:
            x = doubling_convolution(x, weight.flip(2, 3))
        else:
            x = functional.conv2d(x, weight, padding=weight.shape[2] // 2)
        return activated(x + self.bias.view(1, -1, 1, 1), self._clamp)


def modulated(weight: Tensor, style: Tensor, *, is_normalised: bool) -> Tensor:
    """The weights of a convolution for one style: each input channel scaled, each output channel of unit norm again.

    Args:
        weight: (O, I, k, k).
        style: (1, I).
    """
    weight = weight * style.view(1, -1, 1, 1)
    if not is_normalised:
        return weight
    # In single precision: squares of hundreds of halves run over.
    norm = weight.float().square().sum((1, 2, 3), keepdim=True) + _TINY
    return weight * norm.rsqrt().to(weight.dtype)


class Mapping(nn.Module):
    """From a random point to the style it stands for: (1, Z) to (1, W). Its layers are called `fc0`, `fc1`, ..."""

    w_avg: Tensor

    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__()
        self._layers = layers
        for index in range(layers):
            layer = Linear(inputs if index == 0 else width, width, is_activated=True, rate=0.01)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.empty(width))

    def forward(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """
        Args:
            psi: how far from the mean style, 0..1.
        """
        style = unit_moment(z)
        for index in range(self._layers):
            style = self.get_submodule(f"fc{index}")(style)
        return style if psi == 1 else torch.lerp(self.w_avg, style, psi)


def _kernel(x: Tensor) -> Tensor:
    return low_pass().to(x).expand(x.shape[1], 1, -1, -1)
