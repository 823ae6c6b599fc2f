"""Small networks in the file formats of the erase models, as the recordings of IOPaint were made with."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class SizeTeller(nn.Module):
    """In the place of LaMa: paints the hole in a colour that says which size it was shown."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        height, width = image.shape[2], image.shape[3]
        parts = [height % 256, width % 256, (height // 256) * 16 + width // 256]
        colour = (torch.tensor(parts, dtype=torch.float32, device=image.device) + 0.5) / 255
        hole = mask.to(image.dtype)
        return image * (1 - hole) + colour.view(1, 3, 1, 1) * hole


class QuarterGrey(nn.Module):
    """In the place of MI-GAN: a light grey in the hole."""

    def forward(self, x: Tensor) -> Tensor:
        hole = 0.5 - x[:, 0:1]
        return x[:, 1:4] * (1 - hole) + 0.25 * hole


class Same(nn.Module):
    """In the place of the finder of lines."""

    def forward(self, grey: Tensor) -> Tensor:
        return grey


class HalfGrey(nn.Module):
    """In the place of the painter of comics."""

    def forward(self, grey: Tensor, lines: Tensor, mask: Tensor, noise: Tensor, ones: Tensor) -> Tensor:
        return grey * (1 - mask) + 0.5 * mask


def save_script(module: nn.Module, path: Path) -> Path:
    """Write `module` as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module.eval()).save(str(path))
    return path
