"""What Paint by Example sees a picture with: CLIP's vision model and a few layers that lead into the UNet.

diffusers keeps the class and can no longer read the published folder: it names a module that has moved, and the
library below it has taken a level out of the weights' names. So it is built and filled here.

Source: Yang et al., Paint by Example, 2022; the class and the names of its weights are those of diffusers.
"""

from collections.abc import Generator
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.diffusion.folders import read_json, weights_in
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.images import Floats
from engine.interface import Call, Where

CLASS: Final = "PaintByExampleImageEncoder"
_STAGE: Final = "load"
_WITH_LEVEL: Final = "model.vision_model."
_WITHOUT: Final = "model."
_SHAPE: Final = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_channels", "image_size", "patch_size", "hidden_act", "layer_norm_eps", "projection_dim"),
)
"""What of the configuration says how it is built."""


def encoder_loading(place: Path, dtype: torch.dtype, device: torch.device) -> Generator[Call, Any, Any]:
    """The encoder in a folder of its own, on the device. Use with `yield from`.

    Raises:
        READ_ERRORS: its files are missing, corrupt or incomplete.
    """
    tensors = yield Call(partial(_read, place, dtype), where=Where.POOL, stage=_STAGE)
    return (yield Call(partial(_build, place, tensors, device), stage=_STAGE))


def example_pixels(picture: Floats, side_px: int) -> Tensor:
    """A picture as the encoder takes it: its middle square, in the side it was trained at. On the side pool.

    Args:
        picture: (H, W, 3), RGB in [0, 1].

    Returns:
        (1, 3, side, side), each channel moved and scaled by CLIP's mean and deviation.

    Source: the preprocessing published with CLIP: shorter side by cubic interpolation, then the centre.
    """
    from transformers import CLIPImageProcessor

    processor: Any = CLIPImageProcessor
    shown = Image.fromarray((picture * 255).round().astype(np.uint8))
    pixels: Tensor = processor(size=side_px, crop_size=side_px)(shown, return_tensors="pt").pixel_values
    return pixels


def _read(place: Path, dtype: torch.dtype) -> Tensors:
    files = weights_in(place) if place.is_dir() else []
    if not files:
        raise ValueError(f"its {place.name} has no weights")
    return {name: tensor for file in files for name, tensor in read_tensors(file, (), dtype).items()}


def _build(place: Path, tensors: Tensors, device: torch.device) -> Any:
    from accelerate import init_empty_weights
    from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
    from transformers import CLIPVisionConfig

    told = read_json(place / "config.json")
    projected = tensors.get("proj_out.weight")
    if projected is None:
        raise ValueError(f"its {place.name} is not whole: proj_out.weight missing")
    config = CLIPVisionConfig(**{name: told[name] for name in _SHAPE if name in told})
    made: Any = PaintByExampleImageEncoder
    with init_empty_weights():
        encoder = made(config, proj_size=len(projected))
    own = {_plain(name): name for name in encoder.state_dict()}
    fill(encoder, {own.get(_plain(name), name): tensor for name, tensor in tensors.items()}, part=place.name)
    _tell_copies(encoder)
    return encoder.to(device)


def _plain(name: str) -> str:
    return name.replace(_WITH_LEVEL, _WITHOUT, 1)


def _tell_copies(encoder: Any) -> None:
    """Have it tell a copy of the vector that stands for no picture: the weight itself may leave the device again."""
    forward = encoder.forward

    @wraps(forward)
    def telling(*args: Any, **kwargs: Any) -> Any:
        told = forward(*args, **kwargs)
        return tuple(tensor.clone() for tensor in told) if isinstance(told, tuple) else told

    encoder.forward = telling
