"""BrushNets of a few thousand weights, made from a seed, in the published form: `save_pretrained` writes a folder."""

from typing import Any, Final

import torch

from engine.diffusion.brushnet import BrushNetModel
from tests.tiny_models import CHANNELS, GROUPS, HIDDEN, HIDDEN_2, TIME_IDS_WIDTH, XL_CHANNELS, seeded

SD1: Final[dict[str, Any]] = {
    "block_out_channels": CHANNELS,
    "layers_per_block": 1,
    "cross_attention_dim": HIDDEN,
    "attention_head_dim": 2,
    "norm_num_groups": GROUPS,
}
"""Settings for one beside `make_sd1`; without attention, like those that are published."""
XL: Final[dict[str, Any]] = {
    **SD1,
    "block_out_channels": XL_CHANNELS,
    "down_block_types": ("DownBlock2D",) * 3,
    "up_block_types": ("UpBlock2D",) * 3,
    "cross_attention_dim": HIDDEN + HIDDEN_2,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": TIME_IDS_WIDTH,
    "projection_class_embeddings_input_dim": HIDDEN_2 + 6 * TIME_IDS_WIDTH,
}
"""For one beside `make_sdxl`."""
ATTENDING: Final[dict[str, Any]] = {
    **SD1,
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}
"""For one beside `make_sd1` that looks at a text, as PowerPaint's do."""


def make_brushnet(settings: dict[str, Any] = SD1, seed: int = 1, *, is_trained: bool = True) -> BrushNetModel:
    """One whose last layers are random, or zero if nobody trained it."""
    with seeded(seed):
        net = BrushNetModel(**settings)
        for layer in ends(net) if is_trained else ():
            torch.nn.init.normal_(layer.weight, std=0.5)
            torch.nn.init.normal_(layer.bias, std=0.1)
    return net.requires_grad_(requires_grad=False).eval()


def ends(net: Any) -> list[Any]:
    """What each residual goes through last."""
    return [*net.brushnet_down_blocks, net.brushnet_mid_block, *net.brushnet_up_blocks]
