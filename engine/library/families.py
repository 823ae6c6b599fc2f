"""Which family a denoiser, or something made for one, belongs to: by names first, then by sizes.

    what decides                                            family
    ------------------------------------------------------  ------------------------------------------
    `joint_blocks.`                                         sd3
    `double_blocks.` and nothing below                      flux
      with `distilled_guidance_layer.`, `single_stream_modulation.`,
      `early_stream_modulations.` or wider input            other (Chroma, Flux 2 and 3, Fill, Depth)
    `input_blocks.` or `down_blocks.` (a UNet):
      `edm_mean`                                            other (Playground 2.5)
      `cond_stage_model.mapper.`                            paint_by_example
      input channels not 4, 8 or 9                          other (depth, upscaling)
      `conditioner.embedders.1.`, or context 2048           sdxl
      `conditioner.embedders.0.model.`, or context 1280     sdxl_refiner
      `label_emb.` or `add_embedding.`, nothing else told   sdxl
      `cond_stage_model.model.`, or context 1024            sd2
      `proj_in` of attention is linear, context not 768     sd2
      anything else                                         sd1
      and 8 input channels                                  instruct_pix2pix if sd1, else other
      and 9 input channels                                  the same, _inpaint

The context is the width of the text embeddings: the second size of the `to_k` weights of cross attention.

Source: the published checkpoints, and the names that diffusers' single-file loader goes by.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from engine.library.records import Family, Shape

_BY_CONTEXT: Final[Mapping[int, Family]] = {
    768: Family.SD1,
    1024: Family.SD2,
    1280: Family.SDXL_REFINER,
    2048: Family.SDXL,
}
_INPAINTING: Final[Mapping[Family, Family]] = {
    Family.SD1: Family.SD1_INPAINT,
    Family.SD2: Family.SD2_INPAINT,
    Family.SDXL: Family.SDXL_INPAINT,
}
_EDIT_CHANNELS: Final = 8
_INPAINT_CHANNELS: Final = 9
_USUAL_CHANNELS: Final = (4, _EDIT_CHANNELS, _INPAINT_CHANNELS)
_SEES_EXAMPLES: Final = "cond_stage_model.mapper."
"""Between what Paint by Example sees in a picture and its UNet."""
_FLUX_CHANNELS: Final = 64
"""Flux sees 2 x 2 patches of 16 channels; its Fill and Depth forms see more."""
_NOT_QUITE_FLUX: Final = ("distilled_guidance_layer.", "single_stream_modulation.", "early_stream_modulations.")
_MATRIX: Final = 2
_CROSS_KEYS: Final = re.compile(
    r"attn2[._](?:processor[._])?to_k(?:[._]lora)?[._](?:weight$|lora_down\.|lora_A\.|down(?:\.|$)|hada_w1_b)"
)
_ATTENTION_INPUT: Final = re.compile(r"[._]proj_in[._](?:weight|lora_down\.weight|lora_A\.weight|lora\.down\.weight)$")


def of_context(width: int | None) -> Family:
    """The family whose text embeddings have this width; unknown if none has."""
    return _BY_CONTEXT.get(width or 0, Family.UNKNOWN)


def inpainting(family: Family) -> Family:
    """The same family with the mask and the masked picture among its inputs."""
    return _INPAINTING.get(family, Family.OTHER)


def editing(family: Family) -> Family:
    """The same family with the picture that is changed among its inputs."""
    return Family.INSTRUCT_PIX2PIX if family is Family.SD1 else Family.OTHER


def with_inputs(family: Family, channels: object) -> Family:
    """What a family is with so many input channels: itself, for inpainting, or for changing pictures."""
    if channels == _EDIT_CHANNELS:
        return editing(family)
    return inpainting(family) if channels == _INPAINT_CHANNELS else family


def of_transformer(shapes: Mapping[str, Shape]) -> Family:
    """The family of a transformer, with or without a prefix to its names; unknown if it is none of ours."""
    if has(shapes, "joint_blocks."):
        return Family.SD3
    if not has(shapes, "double_blocks."):
        return Family.UNKNOWN
    if any(has(shapes, part) for part in _NOT_QUITE_FLUX):
        return Family.OTHER
    channels = size_at(shapes, "img_in.weight", 1)
    is_wider = channels is not None and channels > _FLUX_CHANNELS
    return Family.OTHER if is_wider else Family.FLUX


def of_unet(shapes: Mapping[str, Shape]) -> Family:
    """The family of a UNet, alone or in a checkpoint, in LDM's names or those of diffusers."""
    channels = size_at(shapes, "input_blocks.0.0.weight", 1)
    if channels is None and len(shapes.get("conv_in.weight", ())) > 1:  # by its whole name: the VAE has one, too
        channels = shapes["conv_in.weight"][1]
    if "edm_mean" in shapes or (channels is not None and channels not in _USUAL_CHANNELS):
        return Family.OTHER
    if has(shapes, _SEES_EXAMPLES):
        return Family.PAINT_BY_EXAMPLE
    return with_inputs(_four_channel_unet(shapes), channels)


def _four_channel_unet(shapes: Mapping[str, Shape]) -> Family:
    if has(shapes, "conditioner.embedders.1."):
        return Family.SDXL
    if has(shapes, "conditioner.embedders.0.model."):
        return Family.SDXL_REFINER
    context = of_context(context_width(shapes))
    if context is not Family.UNKNOWN:
        return context
    if has(shapes, "label_emb.") or has(shapes, "add_embedding."):
        return Family.SDXL
    return Family.SD2 if has(shapes, "cond_stage_model.model.") or is_linear(shapes) else Family.SD1


def context_width(shapes: Mapping[str, Shape]) -> int | None:
    """The width of the text embeddings that cross attention takes, also from a LoRA's weights; None if untold."""
    widths = (shape[1] for name, shape in shapes.items() if len(shape) >= _MATRIX and _CROSS_KEYS.search(name))
    return next(widths, None)


def is_linear(shapes: Mapping[str, Shape]) -> bool:
    """Whether attention takes its input through a matrix, as from SD 2 on, and not through a convolution."""
    ranks = (len(shape) for name, shape in shapes.items() if shape and _ATTENTION_INPUT.search(name))
    return next(ranks, 0) == _MATRIX


def has(names: Iterable[str], part: str) -> bool:
    """Whether a name begins with `part`, or holds it after a dot."""
    inner = f".{part}"
    return any(name.startswith(part) or inner in name for name in names)


def size_at(shapes: Mapping[str, Shape], ending: str, place: int) -> int | None:
    """The size at `place` of the first tensor of that name, or whose name ends in a dot and that."""
    inner = f".{ending}"
    for name, shape in shapes.items():
        if (name == ending or name.endswith(inner)) and len(shape) > place:
            return shape[place]
    return None
