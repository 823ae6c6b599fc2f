"""The generator of `fcf`: an encoder, and a decoder whose coarse features are mixed over the whole picture.

Source: J. Jain et al., Keys to better image inpainting: Structure and texture go hand in hand, WACV 2023, on S. Zhao
et al., Large scale image completion via co-modulated generative adversarial networks, ICLR 2021; L. Chi et al., Fast
Fourier convolution, NeurIPS 2020. Names of the parts are those of the published weights.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.inpainting import stylegan
from engine.inpainting.state_dicts import side_of
from engine.inpainting.stylegan import Convolution, Linear

SIDE_PX: Final = 512
_SMALLEST: Final = 4
_FIRST_MIXED: Final = 32
"""From this size on features are mixed over the whole picture."""
_GLOBAL: Final = 0.75
"""Share of the features that are."""
_CLAMP: Final = 256.0
_MAPPING_LAYERS: Final = 2
_PSI: Final = 0.1
_SPREAD_OF_ONE: Final = 1e-4
"""What the encoder is told of how pictures of a batch differ; with one picture, the root of the smallest variance."""
_ENCODER_BLOCK: Final = re.compile(r"encoder\.b(\d+)\.conv0\.weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class FcfWidths:
    """How wide a network is.

    Attributes:
        style: of the mapped random point; what the encoder says of the whole picture is twice as wide.
        features: side of the feature maps, 512 to 4 -> channels; multiples of 32 from 32 px on.
    """

    style: int = 512
    features: Mapping[int, int]

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "FcfWidths":
        """Those of a file.

        Raises:
            EngineError: `bad_model`: it is not one of this network.
        """
        found = {
            int(match[1]): value.shape[0] for name, value in weights.items() if (match := _ENCODER_BLOCK.match(name))
        }
        found[_SMALLEST] = side_of(weights, "encoder.b4.conv.weight", 0, "fcf")
        style = side_of(weights, "mapping.w_avg", 0, "fcf")
        return cls(style=style, features={side: found.get(side, _FIRST_MIXED) for side in _sides()})


def _sides() -> list[int]:
    return [SIDE_PX >> level for level in range(int(math.log2(SIDE_PX // _SMALLEST)) + 1)]


class EncoderBlock(nn.Module):
    """Half the size; the first one reads the picture."""

    def __init__(self, inputs: int, outputs: int, *, is_first: bool) -> None:
        super().__init__()
        if is_first:
            self.fromrgb = Convolution(4, inputs, 1, clamp=_CLAMP)
        self.conv0 = Convolution(inputs, inputs, 3, clamp=_CLAMP)
        self.conv1 = Convolution(inputs, outputs, 3, clamp=_CLAMP, halves=True)
        self._is_first = is_first

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What goes on, and what the decoder gets at this size."""
        seen = self.conv0(self.fromrgb(x) if self._is_first else x)
        return self.conv1(seen), seen


class EncoderEnd(nn.Module):
    """The smallest features, and what they say of the whole picture."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv = Convolution(width + 1, width, 3, clamp=_CLAMP)
        self.fc = Linear(width * _SMALLEST**2, outputs, is_activated=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        spread = torch.full_like(x[:, :1], _SPREAD_OF_ONE)
        seen = self.conv(torch.cat((x, spread), 1))
        return self.fc(seen.flatten(1)), seen


class Encoder(nn.Module):
    """From the picture to its features at every size."""

    def __init__(self, widths: FcfWidths) -> None:
        super().__init__()
        for side in _sides()[:-1]:
            block = EncoderBlock(widths.features[side], widths.features[side // 2], is_first=side == SIDE_PX)
            self.add_module(f"b{side}", block)
        self.b4 = EncoderEnd(widths.features[_SMALLEST], 2 * widths.style)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the picture is as a whole, (1, 2 style), and the features from its size down."""
        *blocks, end = self.children()
        features = []
        for block in blocks:
            x, seen = block(x)
            features.append(seen)
        whole, seen = end(x)
        return whole, [*features, seen]


class StyledConvolution(nn.Module):
    """A 3 x 3 convolution whose weights a style scales, and the leaky rectifier. The file's bias was never used."""

    def __init__(
        self, inputs: int, outputs: int, style: int, *, clamp: float | None = None, doubles: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.affine = Linear(style, inputs)
        self._clamp = clamp
        self._doubles = doubles

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = stylegan.modulated(self.weight, self.affine(style), is_normalised=True)
        x = stylegan.doubling_convolution(x, weight) if self._doubles else functional.conv2d(x, weight, padding=1)
        return stylegan.activated(x, self._clamp)


class ToPicture(nn.Module):
    """What features mean in colours."""

    def __init__(self, inputs: int, style: int, clamp: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(3))
        self.affine = Linear(style, inputs)
        self._clamp = clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = self.affine(style) / math.sqrt(self.weight.shape[1])
        made = functional.conv2d(x, stylegan.modulated(self.weight, scale, is_normalised=False), self.bias)
        return made if self._clamp is None else made.clamp(-self._clamp, self._clamp)


class SpectrumConvolution(nn.Module):
    """A convolution of the spectrum of each channel: every place sees every other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * width, 2 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))
        parts = spectrum.permute(0, 1, 4, 2, 3).flatten(1, 2)  # real and imaginary of each channel, in turn
        parts = functional.relu(self.conv_layer(parts)).reshape(1, -1, 2, *parts.shape[2:]).permute(0, 1, 3, 4, 2)
        made: Tensor = torch.fft.irfft2(torch.view_as_complex(parts.contiguous()), s=x.shape[2:], norm="ortho")
        return made


class GlobalMixing(nn.Module):
    """Global features through the spectrum of the whole picture, and of its four quarters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.conv1 = nn.Sequential(nn.Conv2d(width, inner, 1, bias=False), nn.ReLU())
        self.fu = SpectrumConvolution(inner)
        self.lfu = SpectrumConvolution(inner)
        self.conv2 = nn.Conv2d(inner, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        quarter = x[:, : x.shape[1] // 4]
        stacked = torch.cat(quarter.chunk(2, 2), 1)
        stacked = torch.cat(stacked.chunk(2, 3), 1)
        out: Tensor = self.conv2(x + self.fu(x) + self.lfu(stacked).repeat(1, 1, 2, 2))
        return out


class LocalAndGlobal(nn.Module):
    """One convolution of features of two kinds, each made of both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = int(width * _GLOBAL)
        near = width - wide
        self.convl2l = _mirrored(near, near)
        self.convl2g = _mirrored(near, wide)
        self.convg2l = _mirrored(wide, near)
        self.convg2g = GlobalMixing(wide)

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W), the local features first."""
        count = self.convl2l.in_channels
        near, wide = x[:, :count], x[:, count:]
        made = (self.convl2l(near) + self.convg2l(wide), self.convl2g(near) + self.convg2g(wide))
        return functional.relu(torch.cat(made, 1))


class DecoderBlock(nn.Module):
    """Twice the size, joined by what the encoder saw at that size."""

    def __init__(self, inputs: int, outputs: int, style: int, *, mixes: bool) -> None:
        super().__init__()
        if mixes:
            self.ffc_skip = nn.ModuleList([_mixing(outputs)])
        self.conv0 = StyledConvolution(inputs, outputs, style, clamp=_CLAMP, doubles=True)
        self.conv1 = StyledConvolution(outputs, outputs, style, clamp=_CLAMP)
        self.torgb = ToPicture(outputs, style, _CLAMP)
        self._mixes = mixes

    def forward(self, x: Tensor, picture: Tensor, style: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv0(x, style)
        joined = x + seen
        x = x + self._mixed(joined) if self._mixes else joined
        x = self.conv1(x, style)
        return x, stylegan.doubled(picture) + self.torgb(x, style)

    def _mixed(self, x: Tensor) -> Tensor:
        block = self.ffc_skip[0].get_submodule("ffc_act.ffc_block")
        changed = block.get_submodule("conv2.ffc")(block.get_submodule("conv1.ffc")(x))
        # Three residual connections lie around the pair of convolutions in the published network.
        out: Tensor = changed + 3 * x
        return out


class FirstDecoderBlock(nn.Module):
    """Where the decoder begins, at 4 px."""

    def __init__(self, width: int, whole: int, style: int) -> None:
        super().__init__()
        self.fc = Linear(whole, width * _SMALLEST**2, is_activated=True)
        self.conv = StyledConvolution(width, width, style)
        self.torgb = ToPicture(width, style)

    def forward(self, whole: Tensor, style: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(self.fc(whole).view_as(seen) + seen, style)
        return x, self.torgb(x, style)


class Decoder(nn.Module):
    """From the features back to a picture."""

    def __init__(self, widths: FcfWidths) -> None:
        super().__init__()
        style = 3 * widths.style
        self.foreword = FirstDecoderBlock(widths.features[_SMALLEST], 2 * widths.style, style)
        for side in _sides()[-2::-1]:
            inputs, outputs = widths.features[side // 2], widths.features[side]
            self.add_module(f"b{side}", DecoderBlock(inputs, outputs, style, mixes=side >= _FIRST_MIXED))

    def forward(self, whole: Tensor, features: list[Tensor], style: Tensor) -> Tensor:
        first, *blocks = self.children()
        x, picture = first(whole, style, features[-1])
        for block, seen in zip(blocks, features[-2::-1], strict=True):
            x, picture = block(x, picture, style, seen)
        out: Tensor = picture
        return out


class FcfNetwork(nn.Module):
    """The whole generator, for pictures of 512 by 512 px."""

    def __init__(self, widths: FcfWidths) -> None:
        super().__init__()
        self.encoder = Encoder(widths)
        self.synthesis = Decoder(widths)
        self.mapping = stylegan.Mapping(widths.style, widths.style, _MAPPING_LAYERS)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """
        Args:
            x: (1, 4, 512, 512): 0.5 where the picture is kept and -0.5 in the hole, then the picture in [-1, 1] with
                zeros in the hole.

        Returns:
            What `decode` takes.
        """
        made: tuple[Tensor, list[Tensor]] = self.encoder(x)
        return made

    def decode(self, whole: Tensor, features: list[Tensor]) -> Tensor:
        """(1, 3, 512, 512), about [-1, 1]."""
        # The random point is the origin, as it was in training.
        style = self.mapping(whole.new_zeros(1, self.mapping.w_avg.shape[0]), psi=_PSI)
        made: Tensor = self.synthesis(whole, features, torch.cat((style, whole), 1))
        return made


def _mirrored(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, padding_mode="reflect")


def _mixing(width: int) -> nn.Module:
    """Two convolutions of local and global features, under the names they were published with."""
    block = nn.Module()
    for name in ("conv1", "conv2"):
        step = nn.Module()
        step.add_module("ffc", LocalAndGlobal(width))
        block.add_module(name, step)
    skip, act = nn.Module(), nn.Module()
    act.add_module("ffc_block", block)
    skip.add_module("ffc_act", act)
    return skip
