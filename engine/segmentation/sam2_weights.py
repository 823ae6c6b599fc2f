"""From the files of SAM 2 to its network: the authors' own (`.pt`), and folders of the Hugging Face hub.

What the network for videos has beside - memory of earlier frames, pointers to objects - is left out: it has no part in
the mask of a single picture.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.segmentation.sam2 import Sam2

_USED: Final = ("image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
_POINTS: Final = "prompt_encoder.point_embed"
_KINDS_OF_POINT: Final = 4
_THREE_LAYERS: Final = r"(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)"
_RENAMED: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"^image_encoder\.trunk\.patch_embed\.proj\.", "image_encoder.trunk.patch_embed.projection."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
        (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
        (r"\.point_embeddings\.", ".point_embed."),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
        (rf"\.{_THREE_LAYERS}\.layers\.0\.", r".\1.proj_in."),
        (rf"\.{_THREE_LAYERS}\.layers\.1\.", r".\1.layers.0."),
        (rf"\.{_THREE_LAYERS}\.layers\.2\.", r".\1.proj_out."),
        (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
        (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
        (r"\.norm", ".layer_norm"),
        (r"\.out_proj\.", ".o_proj."),
    )
)
"""Names in the authors' files to those of transformers, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HieraSize:
    """One of the published sizes of the encoder, which has four stages; each doubles the channels and the heads.

    Attributes:
        width, heads: of the first stage.
        depths: blocks of each stage.
        global_blocks: those that look at the whole picture.
        windows: places a side that the other blocks look at, in each stage.
        places: a side, of which there are learned ones in the picture.
    """

    width: int
    heads: int
    depths: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    places: int = 7


TINY: Final = HieraSize(width=96, heads=1, depths=(1, 2, 7, 2), global_blocks=(5, 7, 9))
SMALL: Final = HieraSize(width=96, heads=1, depths=(1, 2, 11, 2), global_blocks=(7, 10, 13))
BASE: Final = HieraSize(width=112, heads=2, depths=(2, 3, 16, 3), global_blocks=(12, 16, 20), places=14)
LARGE: Final = HieraSize(width=144, heads=2, depths=(2, 6, 36, 4), global_blocks=(23, 33, 43), windows=(8, 4, 16, 8))


def load_original(state: Mapping[str, Any], size: HieraSize, device: str, *, side_px: int = 1024) -> Sam2:
    """The network of what one of the authors' files holds.

    Args:
        side_px: of the square the network sees.

    Raises:
        KeyError, RuntimeError: they are other weights.
    """
    from accelerate import init_empty_weights

    from engine.diffusion.quiet import quieten

    quieten()
    from transformers.models.sam2.modeling_sam2 import Sam2Model

    with init_empty_weights(include_buffers=False):
        network = Sam2Model(sam2_config(size, side_px))
    network.load_state_dict(renamed(state["model"]), assign=True)
    return _settled(network, device)


def load_folder(folder: Path, device: str) -> Sam2:
    """The network of a folder with `config.json` and `model.safetensors`.

    Raises:
        OSError, KeyError, ValueError, RuntimeError: there is none, or not all of one.
    """
    from engine.diffusion.quiet import quieten

    quieten()
    from transformers.models.sam2.modeling_sam2 import Sam2Model

    found: Any = Sam2Model  # the stubs of what it answers here are wrong
    network, told = found.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    missing = sorted((*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])))
    if missing:
        raise ValueError(f"there is no {missing[0]}")
    return _settled(network, device)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the network for pictures needs of the authors' weights, under transformers' names.

    Raises:
        KeyError: there are no places, or no kinds of points.
    """
    made: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith(_USED):
            for pattern, replacement in _RENAMED:
                name = pattern.sub(replacement, name)
            made[name] = value
    kinds = [made.pop(f"{_POINTS}.{kind}.weight") for kind in range(_KINDS_OF_POINT)]
    made[f"{_POINTS}.weight"] = torch.cat(kinds)
    # The same places twice there: of prompts, and of the picture.
    made["shared_image_embedding.positional_embedding"] = made["prompt_encoder.shared_embedding.positional_embedding"]
    return made


def sam2_config(size: HieraSize, side_px: int) -> Any:
    """transformers' description of a network of that size."""
    from transformers import Sam2Config

    widths = [size.width * 2**stage for stage in range(len(size.depths))]
    return Sam2Config(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": size.width,
                "num_attention_heads": size.heads,
                "image_size": [side_px, side_px],
                "window_positional_embedding_background_size": [size.places, size.places],
                "blocks_per_stage": list(size.depths),
                "embed_dim_per_stage": widths,
                "num_attention_heads_per_stage": [size.heads * 2**stage for stage in range(len(size.depths))],
                "window_size_per_stage": list(size.windows),
                "global_attention_blocks": list(size.global_blocks),
            },
            "backbone_channel_list": widths[::-1],
            "backbone_feature_sizes": [[side_px // scale] * 2 for scale in (4, 8, 16)],
        },
        prompt_encoder_config={"image_size": side_px},
    )


def _settled(network: Any, device: str) -> Sam2:
    return Sam2(network.requires_grad_(False).eval().to(device, torch.float32))
