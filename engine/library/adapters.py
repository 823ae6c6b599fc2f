"""Which family something made for a denoiser was made for: LoRAs, IP-Adapters and embeddings.

    LoRA, what decides                                               family
    ---------------------------------------------------------------  ------------------
    `double_blocks`, `single_transformer_blocks`                     flux
    `joint_blocks`, or `transformer.` with `add_q_proj`              sd3
    `lora_te2_`, `text_encoder_2.`, or a second transformer block
      in one attention                                               sdxl
    width of the text embeddings at cross attention (`families`)     sd1, sd2, sdxl, sdxl_refiner
    width of the text encoder's matrices, 768 or 1024                sd1, sd2
    `ss_base_model_version`, `modelspec.architecture` (metadata)     as it says
    `transformer.`, `diffusion_model.`, none of the above            other
    kohya's or diffusers' UNet names: linear `proj_in`               sd2, else sd1

    IP-Adapter: the width of the text embeddings at `to_k_ip`; more than 16 cross attentions: sdxl; else sd1.
    Embedding: `clip_g` is sdxl; else the width of the vectors, 768 sd1, 1024 sd2; else unknown.

Inpainting forms take the same adapters as their family, so those are not told apart.
"""

import re
from collections.abc import Mapping
from typing import Final

from engine.library import families
from engine.library.records import Family, Shape

TEXT_WIDTHS: Final = (768, 1024, 1280)
_LORA_NAME: Final = re.compile(
    r"[._](?:lora_(?:down|up|A|B)(?:\.[^.]+)?\.weight|lora\.(?:down|up)\.weight|lora_mid\.weight"
    r"|hada_w[12]_[ab]|lokr_w[12](?:_[ab])?|oft_blocks)$"
)
_SECOND_BLOCK: Final = re.compile(r"attentions?[._]\d+[._]transformer_blocks[._]1[._]|\d_1_transformer_blocks_1_")
_FLUX: Final = re.compile(r"(?:^|[._])(?:double_blocks|single_transformer_blocks)[._]")
_SD3: Final = re.compile(r"(?:^|[._])joint_blocks[._]|transformer_blocks[._]\d+[._]attn[._]add_q_proj")
_SDXL_TEXT: Final = re.compile(r"^(?:lora_te[12]_|text_encoder_2\.)")
_TEXT_MATRIX: Final = re.compile(r"^(?:lora_te_|text_encoder\.).*q_proj.*(?:lora_down|lora_A|lora\.down)")
_TRANSFORMER: Final = re.compile(r"^(?:base_model\.model\.)?(?:transformer|diffusion_model|lora_transformer)[._]")
_UNET: Final = re.compile(r"^(?:lora_unet_|lora_te_|unet\.|text_encoder\.|down_blocks\.|mid_block\.|up_blocks\.)")
_ARCHITECTURES: Final[Mapping[str, Family]] = {
    "sdxl_base": Family.SDXL,
    "sd_v1": Family.SD1,
    "sd_v2": Family.SD2,
    "sd3": Family.SD3,
    "flux": Family.FLUX,
    "stable-diffusion-v1": Family.SD1,
    "stable-diffusion-v2": Family.SD2,
    "stable-diffusion-xl-v1-base": Family.SDXL,
    "stable-diffusion-xl-v1-refiner": Family.SDXL_REFINER,
    "stable-diffusion-3": Family.SD3,
}
"""Beginning of what trainers write -> family."""
_SD1_CROSS_ATTENTIONS: Final = 16
_MATRIX: Final = 2


def is_lora(shapes: Mapping[str, Shape]) -> bool:
    """Whether the tensors are additions to another model's, as low-rank products or the like."""
    return any(_LORA_NAME.search(name) for name in shapes)


def of_lora(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> Family:
    """The family a LoRA is for, as told by the table above."""
    for pattern, family in ((_FLUX, Family.FLUX), (_SD3, Family.SD3), (_SDXL_TEXT, Family.SDXL)):
        if _any_name(shapes, pattern):
            return family
    width = families.of_context(families.context_width(shapes) or _text_width(shapes))
    if width is not Family.UNKNOWN:
        return width
    if _any_name(shapes, _SECOND_BLOCK):
        return Family.SDXL
    told = _of_metadata(metadata)
    if told is not Family.UNKNOWN:
        return told
    if _any_name(shapes, _TRANSFORMER):
        return Family.OTHER
    if not _any_name(shapes, _UNET):
        return Family.UNKNOWN
    return Family.SD2 if families.is_linear(shapes) else Family.SD1


def of_ip_adapter(shapes: Mapping[str, Shape]) -> Family:
    """The family an IP-Adapter is for."""
    keys = {name: shape for name, shape in shapes.items() if name.endswith("to_k_ip.weight")}
    width = next((shape[1] for shape in keys.values() if len(shape) == _MATRIX), None)
    family = families.of_context(width)
    if family is not Family.UNKNOWN:
        return family
    return Family.SDXL if len(keys) > _SD1_CROSS_ATTENTIONS else Family.SD1


def of_embedding(shapes: Mapping[str, Shape]) -> Family:
    """The family an embedding is for."""
    if "clip_g" in shapes:
        return Family.SDXL
    width = next((shape[-1] for shape in shapes.values() if shape), None)
    return families.of_context(width) if width in TEXT_WIDTHS[:2] else Family.UNKNOWN


def _text_width(shapes: Mapping[str, Shape]) -> int | None:
    widths = (shape[1] for name, shape in shapes.items() if len(shape) == _MATRIX and _TEXT_MATRIX.search(name))
    return next((width for width in widths if width in TEXT_WIDTHS[:2]), None)


def _of_metadata(metadata: Mapping[str, str]) -> Family:
    told = [metadata.get(key, "").casefold() for key in ("ss_base_model_version", "modelspec.architecture")]
    for beginning, family in _ARCHITECTURES.items():
        if any(text.startswith(beginning) for text in told):
            return family
    return Family.UNKNOWN


def _any_name(shapes: Mapping[str, Shape], pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(name) for name in shapes)
