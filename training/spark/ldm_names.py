"""The names that the original training program of Stable Diffusion (LDM) gives to what diffusers names otherwise.

Single-file checkpoints use them; of SDXL's (SGM) the UNet and the VAE as well.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

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


def unet_names(layers: int, names: Iterable[str]) -> Callable[[str], str]:
    """What renames the tensors of a UNet.

    Args:
        layers: its `layers_per_block`.
        names: of all its tensors, as diffusers has them.
    """
    has_attention = {int(at[1]) for name in names if (at := re.match(r"up_blocks\.(\d+)\.attentions", name))}

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


def vae_name(name: str, blocks: int) -> str:
    """A tensor of a VAE; the linear weights of its attention are 1x1 convolutions there, see `is_convolved`.

    Args:
        blocks: how many `block_out_channels` it has.
    """
    for old, new in _vae_renamings(blocks):
        name = re.sub(old, new, name)
    if "mid.attn_1." in name:
        for ours, theirs in _VAE_ATTENTION.items():
            name = name.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def is_convolved(renamed: str) -> bool:
    """Whether a tensor of a VAE is written with two more axes of length 1."""
    return "mid.attn_1" in renamed and renamed.endswith("weight") and "norm" not in renamed


def _in_resnet(rest: str) -> str:
    part, _, kind = rest.partition(".")
    return f"{_RESNET[part]}.{kind}"


def _vae_renamings(blocks: int) -> Iterator[tuple[str, str]]:
    yield r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"
    yield r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"
    for block in range(blocks):
        yield rf"up_blocks\.{block}\.resnets\.(\d+)", rf"up.{blocks - 1 - block}.block.\1"
        yield rf"up_blocks\.{block}\.upsamplers\.0", rf"up.{blocks - 1 - block}.upsample"
    yield r"mid_block\.resnets\.0", "mid.block_1"
    yield r"mid_block\.resnets\.1", "mid.block_2"
    yield r"mid_block\.attentions\.0", "mid.attn_1"
