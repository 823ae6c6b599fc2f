"""transformers' networks of the same models, small, with the weights of ours: made by others, of the same papers."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.quiet import quieten
from engine.segmentation.hq_sam import HqMaskDecoder, HqSam
from engine.segmentation.prompt_encoder import PromptEncoder
from engine.segmentation.sam import Sam
from engine.segmentation.sam2_weights import HieraSize, sam2_config
from engine.segmentation.vit import VitEncoder, VitSize

quieten()

SIDE_PX = 128
TINY_VIT = VitSize(width=32, depth=3, heads=2, global_blocks=(1, 2), window=3)
TINY_HIERA = HieraSize(width=16, heads=1, depths=(1, 2, 2, 1), global_blocks=(4,), windows=(8, 4, 7, 7), places=4)

_THREE = ("proj_in", "layers.0", "proj_out")
_SAM_NAMES = (
    (r"^image_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"point_embeddings", "point_embed"),
    (r"mask_downscaling\.0", "mask_embed.conv1"),
    (r"mask_downscaling\.1", "mask_embed.layer_norm1"),
    (r"mask_downscaling\.3", "mask_embed.conv2"),
    (r"mask_downscaling\.4", "mask_embed.layer_norm2"),
    (r"mask_downscaling\.6", "mask_embed.conv3"),
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"hf_token", "hq_token"),
    (r"hf_mlp", "hq_mask_mlp"),
    (r"compress_vit_feat\.0", "compress_vit_conv1"),
    (r"compress_vit_feat\.1", "compress_vit_norm"),
    (r"compress_vit_feat\.3", "compress_vit_conv2"),
    (r"embedding_encoder\.0", "encoder_conv1"),
    (r"embedding_encoder\.1", "encoder_norm"),
    (r"embedding_encoder\.3", "encoder_conv2"),
    (r"embedding_maskfeature\.0", "mask_conv1"),
    (r"embedding_maskfeature\.1", "mask_norm"),
    (r"embedding_maskfeature\.3", "mask_conv2"),
    (r"\.norm", ".layer_norm"),
)

_BACK_THREE = {"proj_in": "layers.0", "layers.0": "layers.1", "proj_out": "layers.2"}
_BACK = (
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^vision_encoder\.backbone\.patch_embed\.projection", "image_encoder.trunk.patch_embed.proj"),
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^(prompt_encoder|mask_decoder)\.", r"sam_\1."),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"layer_norm", "norm"),
    (r"o_proj", "out_proj"),
    (r"shared_embedding\.positional_embedding", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"\.mlp\.proj_in", ".mlp.layers.0"),
    (r"\.mlp\.proj_out", ".mlp.layers.1"),
)


def random_weights(names: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Of the same names and shapes; large enough that no part of the network is without effect."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator) * (1 if "positional" in name else 0.2)
        + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for name, value in names.items()
    }


def tiny_sam() -> Sam:
    return Sam(VitEncoder(TINY_VIT, side_px=SIDE_PX), prompt_encoder=PromptEncoder(side_px=SIDE_PX))


def tiny_hq() -> HqSam:
    return HqSam(
        VitEncoder(TINY_VIT, side_px=SIDE_PX),
        HqMaskDecoder(vit_width=TINY_VIT.width),
        prompt_encoder=PromptEncoder(side_px=SIDE_PX),
    )


def reference_sam(state: Mapping[str, Tensor], *, is_hq: bool) -> Any:
    """transformers' `SamModel` or `SamHQModel` with the weights of `tiny_sam` or `tiny_hq`."""
    from transformers import SamConfig, SamHQConfig, SamHQModel, SamModel

    vision = {
        "hidden_size": TINY_VIT.width,
        "num_hidden_layers": TINY_VIT.depth,
        "num_attention_heads": TINY_VIT.heads,
        "image_size": SIDE_PX,
        "window_size": TINY_VIT.window,
        "global_attn_indexes": list(TINY_VIT.global_blocks),
        "mlp_dim": TINY_VIT.width * 4,
    }
    prompt = {"image_size": SIDE_PX, "image_embedding_size": SIDE_PX // 16}
    if is_hq:
        config = SamHQConfig(
            vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config={"vit_dim": TINY_VIT.width}
        )
        network = SamHQModel(config).eval()
    else:
        network = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt)).eval()
    there = {_sam_name(name): value for name, value in state.items()}
    there["shared_image_embedding.positional_embedding"] = there["prompt_encoder.shared_embedding.positional_embedding"]
    network.load_state_dict(there)
    if is_hq:
        network.mask_decoder.transformer.register_forward_hook(_hand_on, with_kwargs=True)
    return network


def _hand_on(_transformer: object, _args: object, named: Mapping[str, Tensor], given: tuple[Tensor, Tensor]) -> None:
    """Have the masks drawn on what the two-way transformer made of the features, as the authors' code does.

    transformers 5.23 drops that in `SamHQMaskDecoder`, and draws on the features it gave to it, their sides swapped.
    """
    features = named["image_embeddings"]
    features.copy_(given[1][:, 0].transpose(1, 2).view_as(features).transpose(2, 3))


def reference_sam2() -> Any:
    """transformers' `Sam2Model`, small, without weights of its own to speak of."""
    from transformers import Sam2Model

    return Sam2Model(sam2_config(TINY_HIERA, SIDE_PX)).eval()


def original_sam2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' names to the authors'."""
    made: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("shared_image_embedding."):
            continue
        if name == "prompt_encoder.point_embed.weight":
            for kind in range(4):
                made[f"sam_prompt_encoder.point_embeddings.{kind}.weight"] = value[kind : kind + 1].clone()
            continue
        three = re.search(r"(head|mlps\.\d)\.(proj_in|proj_out|layers\.0)\.", name)
        if three is not None:
            name = name.replace(f"{three[1]}.{three[2]}.", f"{three[1]}.{_BACK_THREE[three[2]]}.")
        for pattern, replacement in _BACK:
            name = re.sub(pattern, replacement, name)
        made[name] = value
    return made


def _sam_name(name: str) -> str:
    for pattern, replacement in _SAM_NAMES:
        name = re.sub(pattern, replacement, name)
    three = re.search(r"(iou_prediction_head|output_hypernetworks_mlps\.\d|hq_mask_mlp)\.layers\.(\d)\.", name)
    return name if three is None else name.replace(f"layers.{three[2]}.", f"{_THREE[int(three[2])]}.")
