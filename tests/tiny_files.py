"""Tiny models as single files, in the layouts the original training programs wrote: LDM (SD 1 and 2) and SGM (SDXL).

The names of every tensor are the inverse of what a loader must do to them.
"""

from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.spark.ldm_names import is_convolved, unet_names, vae_name

Tensors = dict[str, Tensor]

UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."

_OPEN_CLIP: Final = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def single_file(pipeline: Any) -> Tensors:
    """All weights of a pipeline of `tests.tiny_models` under the names its family's single files have."""
    tensors = {f"{UNET}{name}": tensor for name, tensor in unet_tensors(pipeline.unet).items()}
    tensors |= {f"{VAE}{name}": tensor for name, tensor in vae_tensors(pipeline.vae).items()}
    second = getattr(pipeline, "text_encoder_2", None)
    if second is None:
        is_open_clip = pipeline.text_encoder.config.hidden_act == "gelu"
        prefix = "cond_stage_model."
        return tensors | (open_clip(pipeline.text_encoder, prefix) if is_open_clip else clip(pipeline, prefix))
    if pipeline.text_encoder is None:
        return tensors | open_clip(second, "conditioner.embedders.0.")
    return tensors | clip(pipeline, "conditioner.embedders.0.") | open_clip(second, "conditioner.embedders.1.")


def write_single_file(tensors: Tensors, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write a safetensors file, or, at a `.ckpt` path, what a training program would have saved."""
    own = {name: tensor.to(dtype, copy=True).contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".ckpt":
        torch.save({"global_step": 470000, "state_dict": own}, path)
    else:
        save_file(own, path, metadata={"format": "pt"})
    return path


def write_configs(pipeline: Any, folder: Path) -> Path:
    """What stands in `engine/diffusion/configs` for a family: the folder of a pipeline without its weights."""
    pipeline.save_pretrained(folder)
    for file in [*folder.rglob("*.safetensors")]:
        file.unlink()
    return folder


def unet_tensors(unet: Any, state: Tensors | None = None) -> Tensors:
    """A UNet under LDM's names, without the prefix.

    Args:
        state: some of its tensors; all by default.
    """
    names = unet_names(unet.config.layers_per_block, unet.state_dict())
    return {names(name): tensor for name, tensor in (unet.state_dict() if state is None else state).items()}


def vae_tensors(vae: Any) -> Tensors:
    """A VAE under LDM's names, without the prefix; the attention's linear weights as 1x1 convolutions."""
    blocks = len(vae.config.block_out_channels)
    renamed = {}
    for name, tensor in vae.state_dict().items():
        new = vae_name(name, blocks)
        renamed[new] = tensor[:, :, None, None] if is_convolved(new) else tensor
    return renamed


def clip(pipeline: Any, prefix: str) -> Tensors:
    """The first text encoder as transformers named it at the time."""
    tensors = {f"{prefix}transformer.text_model.{name}": t for name, t in pipeline.text_encoder.state_dict().items()}
    ids = torch.arange(pipeline.text_encoder.config.max_position_embeddings)[None]
    return tensors | {f"{prefix}transformer.text_model.embeddings.position_ids": ids}


def open_clip(encoder: Any, prefix: str) -> Tensors:
    """A text encoder under OpenCLIP's names, its projections stacked."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in encoder.state_dict().items()}
    width = encoder.config.hidden_size
    prefix += "model."
    tensors = {
        f"{prefix}positional_embedding": state["embeddings.position_embedding.weight"],
        f"{prefix}token_embedding.weight": state["embeddings.token_embedding.weight"],
        f"{prefix}ln_final.weight": state["final_layer_norm.weight"],
        f"{prefix}ln_final.bias": state["final_layer_norm.bias"],
        f"{prefix}logit_scale": torch.tensor(4.6),
        # SD 2 has one too, that nothing uses.
        f"{prefix}text_projection": state.get("text_projection.weight", torch.eye(width)).T,
    }
    for layer in range(encoder.config.num_hidden_layers):
        old, new = f"encoder.layers.{layer}.", f"{prefix}transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{old}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            tensors[f"{new}attn.in_proj_{kind}"] = torch.cat(parts)
            for theirs, ours in _OPEN_CLIP.items():
                tensors[f"{new}{ours}.{kind}"] = state[f"{old}{theirs}.{kind}"]
    return tensors
