"""Tiny models as single files, in the layouts the original training programs wrote: LDM (SD 1 and 2) and SGM (SDXL).

The names of every tensor are the inverse of what a loader must do to them.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

Tensors = dict[str, Tensor]

UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."

_TIME: Final = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION: Final = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
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
    names = _unet_names(unet.config.layers_per_block, unet.state_dict())
    return {names(name): tensor for name, tensor in (unet.state_dict() if state is None else state).items()}


def vae_tensors(vae: Any) -> Tensors:
    """A VAE under LDM's names, without the prefix; the attention's linear weights as 1x1 convolutions."""
    blocks = len(vae.config.block_out_channels)
    renamed = {}
    for name, tensor in vae.state_dict().items():
        new = _vae_name(name, blocks)
        is_attention = "mid.attn_1" in new and new.endswith("weight") and "norm" not in new
        renamed[new] = tensor[:, :, None, None] if is_attention else tensor
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


def _unet_names(layers: int, state: Tensors) -> Callable[[str], str]:
    has_attention = {int(at[1]) for name in state if (at := re.match(r"up_blocks\.(\d+)\.attentions", name))}

    def renamed(name: str) -> str:
        for ours, theirs in _TIME.items():
            if name.startswith(f"{ours}."):
                return name.replace(ours, theirs, 1)
        if at := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", name):
            side, block, kind, layer, rest = at[1], int(at[2]), at[3], int(at[4]), at[5]
            number = 1 + block * (layers + 1) + layer if side == "down" else block * (layers + 1) + layer
            place = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
            return f"{place}.{_in_resnet(rest) if kind == 'resnets' else rest}"
        if at := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", name):
            return f"input_blocks.{(int(at[1]) + 1) * (layers + 1)}.0.op.{at[2]}"
        if at := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", name):
            block = int(at[1])
            return f"output_blocks.{block * (layers + 1) + layers}.{2 if block in has_attention else 1}.conv.{at[2]}"
        if at := re.match(r"mid_block\.resnets\.(\d)\.(.*)", name):
            return f"middle_block.{2 * int(at[1])}.{_in_resnet(at[2])}"
        at = re.match(r"mid_block\.attentions\.0\.(.*)", name)
        assert at, name
        return f"middle_block.1.{at[1]}"

    return renamed


def _in_resnet(rest: str) -> str:
    part, _, kind = rest.partition(".")
    return f"{_RESNET[part]}.{kind}"


def _vae_name(name: str, blocks: int) -> str:
    for old, new in _vae_renamings(blocks):
        name = re.sub(old, new, name)
    if "mid.attn_1." in name:
        for ours, theirs in _VAE_ATTENTION.items():
            name = name.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def _vae_renamings(blocks: int) -> Iterator[tuple[str, str]]:
    yield r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"
    yield r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"
    for block in range(blocks):
        yield rf"up_blocks\.{block}\.resnets\.(\d+)", rf"up.{blocks - 1 - block}.block.\1"
        yield rf"up_blocks\.{block}\.upsamplers\.0", rf"up.{blocks - 1 - block}.upsample"
    yield r"mid_block\.resnets\.0", "mid.block_1"
    yield r"mid_block\.resnets\.1", "mid.block_2"
    yield r"mid_block\.attentions\.0", "mid.attn_1"
