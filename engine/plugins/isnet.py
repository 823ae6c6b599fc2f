"""IS-Net: a U-Net whose blocks are small U-Nets. Finds the subject of a picture at 1024 px.

Parameter names are those of the published state dicts: `isnetis.pth`, trained on drawn characters, and `model.pth` of
RMBG 1.4, which has five more outputs that are of use in training only.

Source: Qin et al., "Highly Accurate Dichotomous Image Segmentation", 2022, and "U-Squared Net", 2020.
"""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.images import Floats
from engine.interface import EngineError
from engine.upscaling.published import read_state
from protocol.errors import ErrorCode

_TRAINING_ONLY: Final = tuple(f"side{number}." for number in range(2, 7))


class _Convolution(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.bn_s1(self.conv_s1(features)))


def _halved(features: Tensor) -> Tensor:
    return functional.max_pool2d(features, 2, stride=2, ceil_mode=True)


def _to_size_of(features: Tensor, other: Tensor) -> Tensor:
    return functional.interpolate(features, size=other.shape[2:], mode="bilinear", align_corners=False)


class _Block(nn.Module):
    """A small U-Net with a shortcut around it.

    Args:
        depth: convolutions on the way down.
        inner: channels inside.
        keeps_size: it looks farther by dilation instead of halving.
    """

    def __init__(self, depth: int, inputs: int, inner: int, outputs: int, *, keeps_size: bool = False) -> None:
        super().__init__()
        self._depth = depth
        self._keeps_size = keeps_size
        self.rebnconvin = _Convolution(inputs, outputs)
        for number in range(1, depth + 1):
            dilation = 2 ** (number - 1) if keeps_size else 2 if number == depth else 1
            self.add_module(f"rebnconv{number}", _Convolution(outputs if number == 1 else inner, inner, dilation))
        for number in range(depth - 1, 0, -1):
            dilation = 2 ** (number - 1) if keeps_size else 1
            self.add_module(f"rebnconv{number}d", _Convolution(2 * inner, outputs if number == 1 else inner, dilation))

    def forward(self, features: Tensor) -> Tensor:
        start = self.rebnconvin(features)
        seen = [self.get_submodule("rebnconv1")(start)]
        for number in range(2, self._depth + 1):
            # The last two have the same size.
            shrinks = not self._keeps_size and number < self._depth
            before = _halved(seen[-1]) if shrinks else seen[-1]
            seen.append(self.get_submodule(f"rebnconv{number}")(before))
        made = seen.pop()
        for number in range(self._depth - 1, 0, -1):
            beside = seen.pop()
            joined = torch.cat((_to_size_of(made, beside), beside), dim=1)
            made = self.get_submodule(f"rebnconv{number}d")(joined)
        added: Tensor = made + start
        return added


class IsNet(nn.Module):
    """Says of each pixel how much it belongs to the subject.

    Args:
        width: share of the published number of channels, a power of two of at least 1/16.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()

        def block(depth: int, inputs: int, inner: int, outputs: int, *, keeps_size: bool = False) -> _Block:
            counts = (int(count * width) for count in (inputs, inner, outputs))
            return _Block(depth, *counts, keeps_size=keeps_size)

        self.conv_in = nn.Conv2d(3, int(64 * width), 3, stride=2, padding=1)
        self.stage1 = block(7, 64, 32, 64)
        self.stage2 = block(6, 64, 32, 128)
        self.stage3 = block(5, 128, 64, 256)
        self.stage4 = block(4, 256, 128, 512)
        self.stage5 = block(4, 512, 256, 512, keeps_size=True)
        self.stage6 = block(4, 512, 256, 512, keeps_size=True)
        self.stage5d = block(4, 1024, 256, 512, keeps_size=True)
        self.stage4d = block(4, 1024, 128, 256)
        self.stage3d = block(5, 512, 64, 128)
        self.stage2d = block(6, 256, 32, 64)
        self.stage1d = block(7, 128, 16, 64)
        self.side1 = nn.Conv2d(int(64 * width), 1, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, H, W) in [0, 1]."""
        features = self.stage1(self.conv_in(pixels))
        seen = [features]
        for stage in (self.stage2, self.stage3, self.stage4, self.stage5, self.stage6):
            features = stage(_halved(features))
            seen.append(features)
        made = seen.pop()
        for stage in (self.stage5d, self.stage4d, self.stage3d, self.stage2d, self.stage1d):
            beside = seen.pop()
            made = stage(torch.cat((_to_size_of(made, beside), beside), dim=1))
        return _to_size_of(self.side1(made), pixels).sigmoid()


class TorchMap:
    """An IS-Net that is asked with arrays. Implements `engine.plugins.backgrounds.Network`."""

    def __init__(self, network: IsNet) -> None:
        self._network = network

    def __call__(self, planes: Floats) -> Floats:
        device = next(self._network.parameters()).device
        with torch.inference_mode():
            made: Floats = self._network(torch.from_numpy(planes).to(device)).float().cpu().numpy()
        return made


def load_isnet(path: Path, device: str) -> TorchMap:
    """Read a published file and put the network on `device`, in single precision.

    Raises:
        EngineError: `bad_model`: it does not hold all of such a network.
    """
    state = {name: value for name, value in read_state(path).items() if not name.startswith(_TRAINING_ONLY)}
    try:
        network = IsNet(width=state["conv_in.weight"].shape[0] / 64)
        network.load_state_dict(state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: expected the weights of IS-Net") from error
    return TorchMap(network.requires_grad_(False).to(device).eval())
