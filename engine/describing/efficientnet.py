"""EfficientNet-Lite0, a classifier of the thousand ImageNet classes.

Parameter names are those of the published state dict.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the Lite
variants (no squeeze-and-excitation, ReLU6, stem and head not scaled) by Liu, 2020.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_CLASSES: Final = 1000
_SIDE_PX: Final = 224
_NORM_EPSILON: Final = 1e-3
_STEM_WIDTH: Final = 32
_HEAD_WIDTH: Final = 1280


@dataclass(frozen=True, slots=True)
class BlockSize:
    """Blocks of one kind: `stride` is that of the first, `expansion` the factor of its hidden channels."""

    repeats: int
    side: int
    stride: int
    expansion: int
    width: int


LITE0: Final = (
    BlockSize(1, 3, 1, 1, 16),
    BlockSize(2, 3, 2, 6, 24),
    BlockSize(2, 5, 2, 6, 40),
    BlockSize(3, 3, 2, 6, 80),
    BlockSize(3, 5, 1, 6, 112),
    BlockSize(4, 5, 2, 6, 192),
    BlockSize(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution padded so that the output has a stride-th of the input's size, the odd pixel at the far end.

    Source: the "SAME" padding of TensorFlow, which these weights were trained with.
    """

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        side, stride = self.kernel_size[0], self.stride[0]
        down, across = (max((-(-length // stride) - 1) * stride + side - length, 0) for length in x.shape[2:])
        before_after = (across // 2, across - across // 2, down // 2, down - down // 2)
        return super().forward(functional.pad(x, before_after) if any(before_after) else x)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_NORM_EPSILON)


class Block(nn.Module):
    """Expand, convolve each channel, project; around a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.has_shortcut = stride == 1 and inputs == outputs
        self.is_expanded = expansion != 1
        if self.is_expanded:
            self._expand_conv = SameConv(inputs, hidden, 1)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = SameConv(hidden, hidden, side, stride=stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = SameConv(hidden, outputs, 1)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu6(self._bn0(self._expand_conv(x))) if self.is_expanded else x
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        projected: Tensor = self._bn2(self._project_conv(hidden))
        return projected + x if self.has_shortcut else projected


class EfficientNetLite(nn.Module):
    """(N, 3, 224, 224) normalised pixels to (N, 1000) logits."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, _STEM_WIDTH, 3, stride=2)
        self._bn0 = _norm(_STEM_WIDTH)
        blocks, width = [], _STEM_WIDTH
        for size in LITE0:
            for number in range(size.repeats):
                stride = size.stride if number == 0 else 1
                blocks.append(Block(width, size.width, side=size.side, stride=stride, expansion=size.expansion))
                width = size.width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(width, _HEAD_WIDTH, 1)
        self._bn1 = _norm(_HEAD_WIDTH)
        self._fc = nn.Linear(_HEAD_WIDTH, _CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        logits: Tensor = self._fc(x.mean(dim=(2, 3)))
        return logits

    def classify(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """How likely each class is: (1000,), which add up to 1.

        The mean of two views, the middle of the picture and the whole of it squeezed into a square: the first keeps
        proportions, the second what stands at the side. Scaled on the CPU, wherever the network is: a large picture
        would take a gigabyte of a GPU, and CUDA cannot scale very long ones.

        Args:
            rgb: (H, W, 3) in [0, 1].
        """
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
            height, width = pixels.shape[2:]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            views = [pixels[:, :, top : top + side, left : left + side], pixels]
            batch = torch.cat(
                [functional.interpolate(view, (_SIDE_PX, _SIDE_PX), mode="bicubic", antialias=True) for view in views]
            )
            logits = self(((batch.clamp(0, 1) * 255 - 127) / 128).to(self._fc.weight.device))
            return np.asarray(logits.softmax(dim=1).mean(dim=0).cpu().numpy(), np.float32)


def load_efficientnet(path: Path, device: str) -> EfficientNetLite:
    """Read the published state dict.

    Raises:
        RuntimeError: the file holds other parameters.
    """
    network = EfficientNetLite()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.requires_grad_(False).eval().to(device)
