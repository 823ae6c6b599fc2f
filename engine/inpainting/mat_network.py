"""The two halves of `mat`: a transformer that finds the structure of the hole, and a network that refines it.

Source: W. Li et al., MAT: Mask-aware transformer for large hole image inpainting, CVPR 2022. Names of the parts are
those of the published weights.
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
from engine.inpainting.mat_attention import PartialConvolution, Resize, Stage
from engine.inpainting.state_dicts import side_of
from engine.inpainting.stylegan import Convolution, Linear

_SIDE: Final = 512
_TRANSFORMER_SIDE: Final = 64
_SMALLEST: Final = 16
_DEPTHS: Final = (2, 3, 4, 3, 2)
_SIDES: Final = (64, 32, 16, 32, 64)
_WINDOWS: Final = (8, 16, 16, 16, 8)
_MIDDLE: Final = 2
_MAPPING_LAYERS: Final = 8
_SEEN_CHANNELS: Final = 7
"""Of what the second half sees: the mask, the picture with its structure, the picture without."""
_ENCODER_BLOCK: Final = re.compile(r"synthesis\.enc\.EncConv_Block_(\d+)x\1\.conv1\.weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatWidths:
    """How wide a network is.

    Attributes:
        tokens: of the transformer; a multiple of 6.
        style: of the mapped random point.
        features: side of the feature maps, 512 to 16 -> channels in the second half.
    """

    tokens: int = 180
    style: int = 512
    features: Mapping[int, int]

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "MatWidths":
        """Those of a file.

        Raises:
            EngineError: `bad_model`: it is not one of this network.
        """
        found = {
            int(match[1]): value.shape[0] for name, value in weights.items() if (match := _ENCODER_BLOCK.match(name))
        }
        return cls(
            tokens=side_of(weights, "synthesis.first_stage.conv_first.conv.weight", 0, "mat"),
            style=side_of(weights, "mapping.w_avg", 0, "mat"),
            features={side: found.get(side, 1) for side in sides()},
        )


def sides() -> list[int]:
    """Of the feature maps of the second half, from the picture's down."""
    return [_SIDE >> level for level in range(int(math.log2(_SIDE // _SMALLEST)) + 1)]


class StyledConvolution(nn.Module):
    """A 3 x 3 convolution whose weights a style scales, and the leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, style: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedWeight(inputs, outputs, style, 3)
        self.bias = nn.Parameter(torch.empty(outputs))
        self._doubles = doubles

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.conv(style, is_normalised=True)
        if self._doubles:
            x = stylegan.doubling_convolution(x, weight.flip(2, 3))
        else:
            x = functional.conv2d(x, weight, padding=1)
        return stylegan.activated(x + self.bias.view(1, -1, 1, 1))


class ModulatedWeight(nn.Module):
    """The weights of a convolution, for a style."""

    def __init__(self, inputs: int, outputs: int, style: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, size, size))
        self.affine = Linear(style, inputs)

    def forward(self, style: Tensor, *, is_normalised: bool) -> Tensor:
        weight = self.weight[0] / math.sqrt(self.weight[0, 0].numel())
        return stylegan.modulated(weight, self.affine(style), is_normalised=is_normalised)


class ToPicture(nn.Module):
    """Adds what features mean in colours to the picture at half their size, or at theirs."""

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.conv = ModulatedWeight(inputs, 3, style, 1)
        self.bias = nn.Parameter(torch.empty(3))

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None) -> Tensor:
        made = functional.conv2d(x, self.conv(style, is_normalised=False)) + self.bias.view(1, -1, 1, 1)
        if picture is None:
            return made
        return made + (picture if picture.shape == made.shape else stylegan.doubled(picture))


class DecoderBlock(nn.Module):
    """Twice the size, joined by what the encoder saw at that size."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.conv0 = StyledConvolution(inputs, outputs, style, doubles=True)
        self.conv1 = StyledConvolution(outputs, outputs, style)
        self.toRGB = ToPicture(outputs, style)

    def forward(self, x: Tensor, picture: Tensor | None, style: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv1(self.conv0(x, style) + seen, style)
        return x, self.toRGB(x, style, picture)


class FirstDecoderBlock(nn.Module):
    """Where the decoder of the second half begins, at the smallest size."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.conv0 = Convolution(width, width, 3)
        self.conv1 = StyledConvolution(width, width, style)
        self.toRGB = ToPicture(width, style)

    def forward(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv1(self.conv0(x) + x, style)
        return x, self.toRGB(x, style, None)


class FirstStage(nn.Module):
    """The half that finds the structure."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        halvings = int(math.log2(_SIDE // _TRANSFORMER_SIDE))
        self.conv_first = PartialConvolution(4, width)
        self.enc_conv = nn.ModuleList(PartialConvolution(width, width, halves=True) for _ in range(halvings))
        resizes = (
            None,
            *(Resize(width, halves=True) for _ in range(2)),
            *(Resize(width, doubles=True) for _ in range(2)),
        )
        self.tran = nn.ModuleList(
            Stage(width, *sizes) for sizes in zip(_SIDES, _DEPTHS, _WINDOWS, resizes, strict=True)
        )
        self.down_conv = nn.Sequential(*(Convolution(width, width, 3, halves=True) for _ in range(4)))
        self.to_style = Linear(width, 2 * width, is_activated=True)
        self.ws_style = Linear(style, width, is_activated=True)
        self.to_square = Linear(width, _SMALLEST**2, is_activated=True)
        self.dec_conv = nn.ModuleList(DecoderBlock(width, width, 3 * width) for _ in range(halvings))

    def forward(self, picture: Tensor, kept: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """See `MatNetwork.structure`."""
        x, validity = self.conv_first(torch.cat((kept - 0.5, picture * kept), 1), kept)
        seen = [x]
        for convolution in self.enc_conv:
            x, validity = convolution(x, validity)
            seen.append(x)
        seen.pop()  # the transformer's own, at this size, takes its place
        own = self.ws_style(style)
        joined = own
        for index, stage in enumerate(self.tran):
            x, validity = stage(x, validity if index < _MIDDLE else None)
            if index < _MIDDLE:
                seen.append(x)
            elif index > _MIDDLE:
                x = x + seen.pop()
            else:
                # Stretched as a row, not as a square, as it was trained: the same at the size it was trained at.
                count = x.shape[2] * x.shape[3]
                row = functional.interpolate(self.to_square(own)[:, None], count, mode="linear", align_corners=False)
                x = _with_noise(x, row.view(1, 1, *x.shape[2:]), generator)
                whole = self.to_style(self.down_conv(x).mean((2, 3)))
                joined = torch.cat((whole, own), 1)
        made: Tensor | None = None
        for block in self.dec_conv:
            x, made = block(x, made, joined, seen.pop())
        assert made is not None
        return made * (1 - kept) + picture * kept


class EncoderBlock(nn.Module):
    """Two convolutions; the first one reads the picture, or halves the size."""

    def __init__(self, inputs: int, outputs: int, *, is_first: bool) -> None:
        super().__init__()
        self.conv0 = Convolution(inputs, outputs, 1 if is_first else 3, halves=not is_first)
        self.conv1 = Convolution(outputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(self.conv0(x))
        return out


class Encoder(nn.Module):
    """Features of the second half at every size."""

    def __init__(self, widths: Mapping[int, int]) -> None:
        super().__init__()
        for side in sides():
            is_first = side == _SIDE
            inputs = _SEEN_CHANNELS if is_first else widths[2 * side]
            self.add_module(f"EncConv_Block_{side}x{side}", EncoderBlock(inputs, widths[side], is_first=is_first))

    def forward(self, x: Tensor) -> list[Tensor]:
        """From the picture's size down."""
        made = []
        for block in self.children():
            x = block(x)
            made.append(x)
        return made


class Decoder(nn.Module):
    """From the features back to a picture."""

    def __init__(self, widths: Mapping[int, int], style: int) -> None:
        super().__init__()
        self.Dec_16x16 = FirstDecoderBlock(widths[_SMALLEST], style)
        for side in sides()[-2::-1]:
            self.add_module(f"Dec_{side}x{side}", DecoderBlock(widths[side // 2], widths[side], style))

    def forward(self, seen: list[Tensor], style: Tensor) -> Tensor:
        first, *blocks = self.children()
        x, picture = first(seen[-1], style)
        for block, features in zip(blocks, seen[-2::-1], strict=True):
            x, picture = block(x, picture, style, features)
        out: Tensor = picture
        return out


class ToStyle(nn.Module):
    """What the features say of the whole picture."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(*(Convolution(width, width, 3, halves=True) for _ in range(3)))
        self.fc = Linear(width, outputs, is_activated=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.conv(x).mean((2, 3)))
        return out


class Synthesis(nn.Module):
    """Both halves."""

    def __init__(self, widths: MatWidths) -> None:
        super().__init__()
        smallest = widths.features[_SMALLEST]
        self.first_stage = FirstStage(widths.tokens, widths.style)
        self.enc = Encoder(widths.features)
        self.to_square = Linear(widths.style, _SMALLEST**2, is_activated=True)
        self.to_style = ToStyle(smallest, 2 * smallest)
        self.dec = Decoder(widths.features, widths.style + 2 * smallest)


class MatNetwork(nn.Module):
    """The generator. Sides of pictures are multiples of 512.

    Noise is mixed into the features of both halves, as in training: half of their values are replaced.
    """

    def __init__(self, widths: MatWidths) -> None:
        super().__init__()
        self.synthesis = Synthesis(widths)
        self.mapping = stylegan.Mapping(widths.style, widths.style, _MAPPING_LAYERS)

    def structure(self, picture: Tensor, kept: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
        """The first half.

        Args:
            picture: (1, 3, H, W) in [-1, 1]; what lies in the hole has no influence.
            kept: (1, 1, H, W) of 0 and 1; 0 is the hole.
            style: what `mapping` made of a random point.
            generator: on the CPU.

        Returns:
            (1, 3, H, W), equal to `picture` where it is kept.
        """
        made: Tensor = self.synthesis.first_stage(picture, kept, style, generator)
        return made

    def refine(
        self, picture: Tensor, kept: Tensor, structure: Tensor, style: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The second half; arguments and result as those of the first."""
        synthesis = self.synthesis
        known = picture * kept
        seen = synthesis.enc(torch.cat((kept - 0.5, known + structure * (1 - kept), known), 1))
        square = synthesis.to_square(style).view(1, 1, _SMALLEST, _SMALLEST)
        square = functional.interpolate(square, seen[-1].shape[2:], mode="bilinear", align_corners=False)
        seen[-1] = _with_noise(seen[-1], square, generator)
        joined = torch.cat((style, synthesis.to_style(seen[-1])), 1)
        made: Tensor = synthesis.dec(seen, joined)
        return made * (1 - kept) + known


def _with_noise(x: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the values of `x`, drawn by lot, replaced by the noise at their place.

    Args:
        x: (1, C, H, W).
        noise: (1, 1, H, W).
    """
    stays = torch.bernoulli(torch.full(x.shape, 0.5), generator=generator).to(x)
    return x * stays + noise * (1 - stays)
