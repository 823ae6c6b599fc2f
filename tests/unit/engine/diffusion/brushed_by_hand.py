"""What a BrushNet and the UNet beside it do, layer by layer, written out: to hold the real ones to."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.tiny_brushnets import ends

After = Callable[[Tensor], Tensor]


def told_by_hand(net: Any, sample: Tensor, step: Tensor, seen: Tensor, embedded: Tensor | None = None) -> list[Tensor]:
    """What a BrushNet without attention tells."""
    left: list[Tensor] = []

    def keep(made: Tensor) -> Tensor:
        left.append(made)
        return made

    time = net.time_embedding(net.time_proj(step))
    walk(net, net.conv_in_condition(torch.cat([sample, seen], 1)), time if embedded is None else time + embedded, keep)
    return [end(made) for end, made in zip(ends(net), left, strict=True)]


def brushed_by_hand(unet: Any, sample: Tensor, step: Tensor, text: Tensor, told: list[Tensor]) -> Tensor:
    """What a UNet makes that is told this."""
    waiting = list(told)
    time = unet.time_embedding(unet.time_proj(step))
    hidden = walk(unet, unet.conv_in(sample), time, lambda made: made + waiting.pop(0), text)
    assert waiting == []
    made: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return made


def walk(net: Any, hidden: Tensor, time: Tensor, after: After, text: Tensor | None = None) -> Tensor:
    """Through the stages, with `after` behind each layer."""
    hidden = after(hidden)
    skips = [hidden]
    for block in net.down_blocks:
        for at, resnet in enumerate(block.resnets):
            hidden = after(attended(block, at, resnet(hidden, time), text))
            skips.append(hidden)
        for down in block.downsamplers or ():
            hidden = after(down(hidden))
            skips.append(hidden)
    middle = net.mid_block
    hidden = middle.resnets[0](hidden, time)
    for at, resnet in enumerate(middle.resnets[1:]):
        hidden = resnet(attended(middle, at, hidden, text), time)
    hidden = after(hidden)
    for block in net.up_blocks:
        for at, resnet in enumerate(block.resnets):
            hidden = after(attended(block, at, resnet(torch.cat([hidden, skips.pop()], 1), time), text))
        for up in block.upsamplers or ():
            hidden = after(up(hidden, skips[-1].shape[2:]))
    assert skips == []
    return hidden


def attended(block: Any, at: int, hidden: Tensor, text: Tensor | None) -> Tensor:
    if text is None or not getattr(block, "has_cross_attention", False):
        return hidden
    made: Tensor = block.attentions[at](hidden, encoder_hidden_states=text, return_dict=False)[0]
    return made
