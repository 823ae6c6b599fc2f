"""Pictures and masks as the erase networks take them, and back."""

import numpy as np
import torch
from torch import Tensor

from engine.images import Bytes
from engine.interface import EngineError
from protocol.errors import ErrorCode


def picture_tensor(image: Bytes, device: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(image)).to(device)
    return (pixels.permute(2, 0, 1)[None].float() / 255).to(dtype)


def mask_tensor(mask: Bytes, device: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H, W) uint8 of 0 and 255 to (1, 1, H, W) of 0 and 1: 1 repaints."""
    return torch.from_numpy(mask > 127).to(device)[None, None].to(dtype)


def truncated_picture(pixels: Tensor) -> Bytes:
    """(1, 3, H, W) in [0, 1] to (H, W, 3) uint8, cut down to whole numbers as IOPaint does for most models."""
    return _bytes((pixels.float().clamp(0, 1) * 255).to(torch.uint8))


def rounded_picture(pixels: Tensor) -> Bytes:
    """(1, 3, H, W) in [-1, 1] to (H, W, 3) uint8, rounded as the generators of the StyleGAN family do."""
    return _bytes((pixels.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8))


def of_shape(tensor: object, shape: tuple[int, ...], what: str) -> Tensor:
    """`tensor`, if that is what it is.

    Args:
        what: names the network that made it.

    Raises:
        EngineError: `bad_model`: it is something else, so the file is not the model it is called.
    """
    if isinstance(tensor, Tensor) and tuple(tensor.shape) == shape:
        return tensor
    got = f"a tensor {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
    raise EngineError(ErrorCode.BAD_MODEL, f"{what}: expected a tensor {shape} of it, got {got}: it is another model")


def _bytes(pixels: Tensor) -> Bytes:
    return np.ascontiguousarray(pixels[0].permute(1, 2, 0).cpu().numpy())
