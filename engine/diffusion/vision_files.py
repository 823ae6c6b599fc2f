"""Image encoders as single files, in transformers' layout: what IP-Adapters see pictures with, as ComfyUI keeps them.

Such a file holds the weights of a `CLIPVisionModelWithProjection` and nothing on how it is built. Nearly all of that
is told by their shapes; the rest by which of the published models is that wide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from engine.diffusion.weights import Tensors, fill
from engine.library.headers import BadHeader, read_header
from engine.library.records import Shape

_WITH_CLASS: Final = 1
"""Of the places an encoder looks at, one is no patch."""


@dataclass(frozen=True, slots=True)
class _Published:
    """What the shapes of a model's weights do not tell."""

    heads: int
    activation: str


_PUBLISHED: Final[Mapping[int, _Published]] = {
    768: _Published(12, "quick_gelu"),
    1024: _Published(16, "quick_gelu"),
    1280: _Published(16, "gelu"),
    1664: _Published(16, "gelu"),
}
"""By width: OpenAI's ViT-B and ViT-L, OpenCLIP's ViT-H and ViT-bigG."""


def vision_config(path: Path) -> dict[str, Any]:
    """The configuration of the encoder in a safetensors file, as transformers writes it; its tensors are not read.

    Raises:
        OSError, ValueError: it cannot be read, or is no encoder whose build is known.
    """
    try:
        shapes = read_header(path).shapes
    except BadHeader as error:
        raise ValueError(str(error)) from None
    return _config(shapes)


def build_vision(config: Mapping[str, Any], tensors: Tensors, device: torch.device) -> Any:
    """The encoder with these weights, on the device. For the executor thread.

    Raises:
        RuntimeError, ValueError: a weight is missing or has another shape.
    """
    from accelerate import init_empty_weights
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with init_empty_weights():
        encoder: Any = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
    fill(encoder, tensors, part="image_encoder")
    return encoder.to(device)


def _config(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    layout = "it is not in the layout of transformers; have it as a folder in the diffusers format"
    places, width = _shape(shapes, "vision_model.embeddings.position_embedding.weight", 2, layout)
    patch_px = _shape(shapes, "vision_model.embeddings.patch_embedding.weight", 4, layout)[-1]
    projection, _ = _shape(shapes, "visual_projection.weight", 2, "it has no visual_projection")
    inner, _ = _shape(shapes, "vision_model.encoder.layers.0.mlp.fc1.weight", 2, layout)
    published = _PUBLISHED.get(width)
    side = round((places - _WITH_CLASS) ** 0.5)
    if published is None or side**2 != places - _WITH_CLASS:
        raise ValueError(f"it is {width} wide and looks at {places} places, like no image encoder that is known here")
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "projection_dim": projection,
        "num_hidden_layers": sum(name.endswith(".mlp.fc1.weight") for name in shapes),
        "num_attention_heads": published.heads,
        "hidden_act": published.activation,
        "image_size": side * patch_px,
        "patch_size": patch_px,
    }


def _shape(shapes: Mapping[str, Shape], name: str, rank: int, problem: str) -> Shape:
    shape = shapes.get(name, ())
    if len(shape) != rank:
        raise ValueError(problem)
    return shape
