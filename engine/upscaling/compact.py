"""The compact Real-ESRGAN network: a plain stack of convolutions that adds detail to a nearest-neighbour enlargement.

Parameter names are those of the published state dicts (`SRVGGNetCompact`).

Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", 2021, and
the compact architecture its authors added in 2022.
"""

from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 3


class CompactNet(nn.Module):
    """Enlarges by a whole factor.

    Args:
        width: channels of the hidden layers.
        depth: hidden convolutions between the first and the last.
        scale: the factor.
    """

    def __init__(self, *, width: int = 64, depth: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.reach_px = depth + 2
        """How far a pixel of the input can matter: tiles shown with this margin are exact."""
        self.fade_px = 0
        layers: list[nn.Module] = [nn.Conv2d(CHANNELS, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        layers.append(nn.Conv2d(width, CHANNELS * scale**2, 3, padding=1))
        self.body = nn.ModuleList(layers)
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, H * scale, W * scale), about in [0, 1]."""
        features = pixels
        for layer in self.body:
            features = layer(features)
        enlarged = functional.interpolate(pixels, scale_factor=float(self.scale), mode="nearest")
        return self.upsampler(features) + enlarged  # type: ignore[no-any-return]  # modules are untyped when called
