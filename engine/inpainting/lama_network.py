"""LaMa's network, as a module that takes the published weights.

    (1, 4, H, W) -> reflect 3, 7 x 7 -> three times half the size -> blocks -> three times double -> reflect 3, 7 x 7

Within the blocks features are of two kinds, local and global; the global ones also go through a convolution of their
spectrum, which sees the whole picture at once. How many blocks there are, and how wide all is, follow from the weights.

Source: R. Suvorov et al., Resolution-robust large mask inpainting with Fourier convolutions, WACV 2022; L. Chi et al.,
Fast Fourier convolution, NeurIPS 2020. Names of the parts are those of the published weights.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from engine.interface import EngineError
from protocol.errors import ErrorCode

Halves: TypeAlias = tuple[Tensor, Tensor]
"""Local and global features, (1, C, H, W) each; one of them may have no channels."""

_PREFIX: Final = re.compile(r"^(?:.*\.)?(?:generator|model)\.model\.")
_INNER: Final = 3
"""Padding of the first and the last convolution."""
_STAGES: Final = 3
_FIRST: Final = 1
"""Of the parts: 0 pads, then the first convolution and three that halve, then the blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """The sizes of a network.

    Attributes:
        first: channels after the first convolution.
        blocks: how many blocks.
        local: of the channels in a block, how many are local.
        channels: all of them.
    """

    first: int
    blocks: int
    local: int
    channels: int


class SpectrumConv(nn.Module):
    """A 1 x 1 convolution of the spectrum of each channel, real and imaginary parts side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        # The spectrum of half-precision numbers is not to be had.
        spectrum = torch.fft.rfftn(x.float(), dim=(-2, -1), norm="ortho")
        parts = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3).flatten(1, 2)
        parts = torch.relu(self.bn(self.conv_layer(parts.to(x.dtype))))
        pairs = parts.float().view(*x.shape[:2], 2, *spectrum.shape[-2:]).permute(0, 1, 3, 4, 2).contiguous()
        back: Tensor = torch.fft.irfftn(torch.view_as_complex(pairs), s=(height, width), dim=(-2, -1), norm="ortho")
        return back.to(x.dtype)


class SpectralTransform(nn.Module):
    """Global features to global features: narrowed to half, through the spectrum, and widened again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(channels, channels // 2, 1, bias=False), nn.BatchNorm2d(channels // 2))
        self.fu = SpectrumConv(channels // 2)
        self.conv2 = nn.Conv2d(channels // 2, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        narrow = torch.relu(self.conv1(x))
        widened: Tensor = self.conv2(narrow + self.fu(narrow))
        return widened


class FourierConv(nn.Module):
    """A convolution between local and global features; the way from global to global is the spectral one.

    Args:
        local_in, global_in, local_out, global_out: channels; a way that starts or ends in none is not there.
    """

    def __init__(
        self, local_in: int, global_in: int, local_out: int, global_out: int, kernel: int, stride: int, padding: int
    ) -> None:
        super().__init__()

        def way(channels: int, to: int) -> nn.Module | None:
            if not channels or not to:
                return None
            return nn.Conv2d(channels, to, kernel, stride, padding, bias=False, padding_mode="reflect")

        self.convl2l = way(local_in, local_out)
        self.convl2g = way(local_in, global_out)
        self.convg2l = way(global_in, local_out)
        self.convg2g = SpectralTransform(global_in) if global_in and global_out else None

    def forward(self, halves: Halves) -> Halves:
        local, overall = halves
        return (
            _sum(local, overall, self.convl2l, self.convg2l),
            _sum(local, overall, self.convl2g, self.convg2g),
        )


class FourierUnit(nn.Module):
    """A Fourier convolution, each kind of features normalised and rectified."""

    def __init__(
        self,
        local_in: int,
        global_in: int,
        local_out: int,
        global_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.ffc = FourierConv(local_in, global_in, local_out, global_out, kernel, stride, padding)
        self.bn_l = nn.BatchNorm2d(local_out) if local_out else None
        self.bn_g = nn.BatchNorm2d(global_out) if global_out else None

    def forward(self, halves: Halves) -> Halves:
        local, overall = self.ffc(halves)
        if self.bn_l is not None:
            local = torch.relu(self.bn_l(local))
        if self.bn_g is not None:
            overall = torch.relu(self.bn_g(overall))
        return local, overall


class Block(nn.Module):
    """Two Fourier units, and what came in added to what they made."""

    def __init__(self, local: int, overall: int) -> None:
        super().__init__()
        self.conv1 = FourierUnit(local, overall, local, overall)
        self.conv2 = FourierUnit(local, overall, local, overall)

    def forward(self, halves: Halves) -> Halves:
        local, overall = self.conv2(self.conv1(halves))
        return halves[0] + local, halves[1] + overall


class Joined(nn.Module):
    """Local and global features as one; where in the chain that is decides the numbers of the parts after it."""

    def forward(self, halves: Halves) -> Tensor:
        return torch.cat(halves, 1)


class Lama(nn.Module):
    """See the module.

    `forward` takes a picture (1, 3, H, W) in [0, 1] and a mask (1, 1, H, W) of 0 and 1, both sides multiples of 8, and
    gives (1, 3, H, W) in [0, 1]: the picture where the mask is 0.
    """

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        first, local, channels = widths.first, widths.local, widths.channels
        overall = channels - local
        self.model = nn.Sequential(
            nn.ReflectionPad2d(_INNER),
            FourierUnit(4, 0, first, 0, kernel=7, padding=0),
            FourierUnit(first, 0, 2 * first, 0, stride=2),
            FourierUnit(2 * first, 0, 4 * first, 0, stride=2),
            FourierUnit(4 * first, 0, local, overall, stride=2),
            *(Block(local, overall) for _ in range(widths.blocks)),
            Joined(),
        )
        for stage in range(_STAGES):
            width = channels >> stage
            self.model.append(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1))
            self.model.append(nn.BatchNorm2d(width // 2))
            self.model.append(nn.ReLU())
        self.model.append(nn.ReflectionPad2d(_INNER))
        self.model.append(nn.Conv2d(first, 3, 7))
        self.model.append(nn.Sigmoid())

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        hole = mask.to(image.dtype)
        first, *others = self.model.children()
        local = first(torch.cat((image * (1 - hole), hole), 1))
        value: Tensor | Halves = (local, local[:, :0])
        for part in others:
            value = part(value)
        assert isinstance(value, Tensor), "the parts are joined before the last ones"
        return hole * value + (1 - hole) * image


def build(weights: Mapping[str, Tensor]) -> Lama | None:
    """The network these weights are of, in float32 on the CPU; None if they are of another kind of network.

    Args:
        weights: by the names that LaMa's authors, or those who publish it as TorchScript, give them.

    Raises:
        EngineError: `bad_model`: LaMa's, but not all of them, or of other sizes than each other.
    """
    own = {f"model.{_PREFIX.sub('', name)}": value for name, value in weights.items() if _PREFIX.match(name)}
    if f"model.{_FIRST}.bn_l.running_mean" not in own:
        return None
    try:
        network = Lama(_widths(own))
        network.load_state_dict({name: own[name] for name in network.state_dict() if name in own}, strict=True)
    except (KeyError, RuntimeError) as error:
        message = "the weights are LaMa's, but some are missing or of another size"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error
    return network.float().eval()


def _widths(weights: Mapping[str, Tensor]) -> Widths:
    first = weights[f"model.{_FIRST}.bn_l.running_mean"].shape[0]
    last_down = _FIRST + _STAGES
    local = weights[f"model.{last_down}.bn_l.running_mean"].shape[0]
    overall = weights[f"model.{last_down}.bn_g.running_mean"].shape[0]
    blocks = {name.split(".")[1] for name in weights if ".conv1.ffc." in name}
    return Widths(first=first, blocks=len(blocks), local=local, channels=local + overall)


def _sum(local: Tensor, overall: Tensor, from_local: nn.Module | None, from_overall: nn.Module | None) -> Tensor:
    made = [way(x) for way, x in ((from_local, local), (from_overall, overall)) if way is not None]
    return torch.stack(made).sum(0) if len(made) > 1 else (made[0] if made else local[:, :0])
