"""Model files as small as they can be: the names and shapes that tell what a file is, and zeros for weights.

Shapes are those of the published models where a size tells the family; all else is left out.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
CROSS = f"{UNET}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
PROJ_IN = f"{UNET}input_blocks.4.1.proj_in.weight"
CLIP = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
OPEN_CLIP = "cond_stage_model.model.ln_final.bias"
XL_CLIP = "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias"
XL_OPEN_CLIP = "conditioner.embedders.1.model.ln_final.bias"
REFINER_CLIP = "conditioner.embedders.0.model.ln_final.bias"
VAE = "first_stage_model.encoder.conv_in.weight"


def first(channels: int) -> Shapes:
    return {f"{UNET}input_blocks.0.0.weight": (2, channels, 3, 3)}


SD1: Shapes = {**first(4), CROSS: (2, 768), PROJ_IN: (2, 2, 1, 1), CLIP: (2,), VAE: (2, 3, 3, 3)}
SD1_INPAINT: Shapes = {**SD1, **first(9)}
SD2: Shapes = {**first(4), CROSS: (2, 1024), PROJ_IN: (2, 2), OPEN_CLIP: (2,), VAE: (2, 3, 3, 3)}
SD2_INPAINT: Shapes = {**SD2, **first(9)}
SDXL: Shapes = {**first(4), CROSS: (2, 2048), XL_CLIP: (2,), XL_OPEN_CLIP: (2,), f"{UNET}label_emb.0.0.bias": (2,)}
SDXL_INPAINT: Shapes = {**SDXL, **first(9)}
SDXL_REFINER: Shapes = {**first(4), CROSS: (2, 1280), REFINER_CLIP: (2,), f"{UNET}label_emb.0.0.bias": (2,)}
LORA_SD1: Shapes = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (1, 768),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": (2, 1),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.alpha": (),
}
VAE_FILE: Shapes = {"encoder.conv_in.weight": (2, 3, 3, 3), "decoder.conv_in.weight": (2, 4, 3, 3)}
CONTROLNET: Shapes = {
    "control_model.input_hint_block.0.weight": (2, 3, 3, 3),
    "control_model.input_blocks.0.0.weight": (2, 4, 3, 3),
    "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (2, 768),
}
IP_ADAPTER: Shapes = {"image_proj.proj.weight": (2, 2), "ip_adapter.1.to_k_ip.weight": (2, 768)}
UPSCALER: Shapes = {"conv_first.weight": (2, 3, 3, 3), "conv_last.weight": (3, 2, 3, 3), "body.0.rdb1.conv1.bias": (1,)}
EMBEDDING: Shapes = {"emb_params": (2, 768)}
IMAGE_ENCODER: Shapes = {"vision_model.post_layernorm.bias": (2,)}


def header(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> dict[str, object]:
    """The header of a sound file of single-byte tensors."""
    made: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    position = 0
    for name, shape in shapes.items():
        end = position + math.prod(shape)
        made[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    return made


def framed(text: bytes, data_bytes: int = 0) -> bytes:
    return struct.pack("<Q", len(text)) + text + bytes(data_bytes)


def content(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> bytes:
    data_bytes = sum(math.prod(shape) for shape in shapes.values())
    return framed(json.dumps(header(shapes, metadata)).encode(), data_bytes)


def write(path: Path, shapes: Shapes, metadata: Mapping[str, str] | None = None) -> Path:
    """A sound safetensors file; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(shapes, metadata))
    return path


def write_json(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_pipeline(
    folder: Path,
    class_name: str = "StableDiffusionPipeline",
    *,
    unet: Mapping[str, object] | None = None,
    text_encoder: bool = True,
    prediction: str = "epsilon",
    extension: str = ".safetensors",
) -> Path:
    """A diffusers folder with the parts that tell its family."""
    encoder = ["transformers", "CLIPTextModel"] if text_encoder else [None, None]
    index = {
        "_class_name": class_name,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": encoder,
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "requires_safety_checker": True,
    }
    write_json(folder / "model_index.json", index)
    write_json(folder / "scheduler" / "scheduler_config.json", {"prediction_type": prediction})
    write_json(folder / "unet" / "config.json", unet or {"in_channels": 4, "cross_attention_dim": 768})
    write_json(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL"})
    write(folder / "unet" / f"diffusion_pytorch_model{extension}", {"conv_in.weight": (2, 4, 3, 3)})
    write(folder / "vae" / f"diffusion_pytorch_model{extension}", VAE_FILE)
    if text_encoder:
        write(folder / "text_encoder" / f"model{extension}", {"final_layer_norm.bias": (2,)})
    return folder


def write_repository(cache: Path, name: str, revision: str = "0a1b2c") -> Path:
    """A repository in the Hugging Face cache with `main` at `revision`; the snapshot's folder, empty."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return snapshot


def as_blobs(snapshot: Path) -> None:
    """Move the snapshot's files into the repository's blobs, and leave links."""
    blobs = snapshot.parent.parent / "blobs"
    for number, path in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        path.rename(blobs / f"blob{number}")
        path.symlink_to(blobs / f"blob{number}")
