"""BrushNet: a copy of a UNet's convolutions that sees what is kept of a picture, and tells the UNet layer by layer.

It is given the noisy latents with the latents of the masked picture and the mask on top, nine channels in all. What
leaves each of its layers goes through a convolution that begins as zero, and is added to what leaves the same layer of
the UNet: in the downward half, in the middle, and, other than a ControlNet's, in the upward half as well.

Source: Ju and others, "BrushNet: A Plug-and-Play Image Inpainting Model with Decomposed Dual-Branch Diffusion", 2024,
arXiv 2403.06976. The names of weights and settings are those of the published files; PowerPaint v2 has cross attention.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2D, get_down_block, get_mid_block, get_up_block
from torch import Tensor, nn

_DOWN: Final = ("DownBlock2D",) * 4
_UP: Final = ("UpBlock2D",) * 4
_PLAIN_MIDDLE: Final = "MidBlock2D"
"""Two residual blocks; no class of diffusers has that name."""
_TEXT_TIME: Final = "text_time"


class BrushNetModel(ModelMixin, ConfigMixin):  # type: ignore[misc]  # as diffusers' own models are made
    """The network. Its settings are those of `UNet2DConditionModel` of the same names, and one of its own.

    Args:
        conditioning_channels: beside the latents: the masked picture's latents and the mask.

    Raises:
        ValueError: a setting asks for what no published BrushNet has.
    """

    @register_to_config  # type: ignore[untyped-decorator]  # diffusers types neither this nor the constructors below
    def __init__(
        self,
        in_channels: int = 4,
        conditioning_channels: int = 5,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        down_block_types: Sequence[str] = _DOWN,
        mid_block_type: str = _PLAIN_MIDDLE,
        up_block_types: Sequence[str] = _UP,
        block_out_channels: Sequence[int] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1.0,
        act_fn: str = "silu",
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: int = 768,
        transformer_layers_per_block: int | Sequence[int] = 1,
        attention_head_dim: int | Sequence[int] = 8,
        num_attention_heads: int | Sequence[int] | None = None,
        use_linear_projection: bool = False,
        upcast_attention: bool | None = False,
        resnet_time_scale_shift: str = "default",
        addition_embed_type: str | None = None,
        addition_time_embed_dim: int | None = None,
        projection_class_embeddings_input_dim: int | None = None,
        class_embed_type: str | None = None,
        encoder_hid_dim_type: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads: bool = any("CrossAttn" in kind for kind in (*down_block_types, mid_block_type))
        """Whether it attends to a text."""
        self._sees_size_and_text = addition_embed_type is not None
        if class_embed_type is not None or encoder_hid_dim_type is not None:
            raise ValueError("it takes classes or projected text, which no published BrushNet does")
        if addition_embed_type not in (None, _TEXT_TIME):
            raise ValueError(f"its addition_embed_type is {addition_embed_type!r:.80}; {_TEXT_TIME} is known")
        widths = list(block_out_channels)
        time_width = 4 * widths[0]
        self.conv_in_condition = nn.Conv2d(in_channels + conditioning_channels, widths[0], kernel_size=3, padding=1)
        self.time_proj = Timesteps(widths[0], flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(widths[0], time_width, act_fn=act_fn)
        if addition_embed_type == _TEXT_TIME:
            if addition_time_embed_dim is None or projection_class_embeddings_input_dim is None:
                raise ValueError("it does not say how wide what it is told of sizes and text is")
            self.add_time_proj = Timesteps(addition_time_embed_dim, flip_sin_to_cos, freq_shift)
            self.add_embedding = TimestepEmbedding(projection_class_embeddings_input_dim, time_width)
        depths = _each(transformer_layers_per_block, len(widths))
        heads = _each(num_attention_heads or attention_head_dim, len(widths))
        shared: dict[str, Any] = {
            "temb_channels": time_width,
            "resnet_eps": norm_eps,
            "resnet_act_fn": act_fn,
            "resnet_groups": norm_num_groups,
            "resnet_time_scale_shift": resnet_time_scale_shift,
            "cross_attention_dim": cross_attention_dim,
            "use_linear_projection": use_linear_projection,
            "upcast_attention": bool(upcast_attention),
        }
        self.down_blocks = nn.ModuleList(
            get_down_block(
                kind,
                num_layers=layers_per_block,
                in_channels=widths[max(at - 1, 0)],
                out_channels=widths[at],
                add_downsample=at < len(widths) - 1,
                downsample_padding=downsample_padding,
                transformer_layers_per_block=depths[at],
                num_attention_heads=heads[at],
                attention_head_dim=heads[at],
                **shared,
            )
            for at, kind in enumerate(down_block_types)
        )
        if mid_block_type == _PLAIN_MIDDLE:
            self.mid_block = UNetMidBlock2D(
                in_channels=widths[-1],
                temb_channels=time_width,
                num_layers=1,
                resnet_eps=norm_eps,
                resnet_act_fn=act_fn,
                resnet_groups=norm_num_groups,
                resnet_time_scale_shift=resnet_time_scale_shift,
                output_scale_factor=mid_block_scale_factor,
                add_attention=False,
            )
        else:
            self.mid_block = get_mid_block(
                mid_block_type,
                in_channels=widths[-1],
                output_scale_factor=mid_block_scale_factor,
                transformer_layers_per_block=depths[-1],
                num_attention_heads=heads[-1],
                attention_head_dim=heads[-1],
                **shared,
            )
        upwards = widths[::-1]
        self.up_blocks = nn.ModuleList(
            get_up_block(
                kind,
                num_layers=layers_per_block + 1,
                in_channels=upwards[min(at + 1, len(widths) - 1)],
                out_channels=upwards[at],
                prev_output_channel=upwards[max(at - 1, 0)],
                add_upsample=at < len(widths) - 1,
                resolution_idx=at,
                transformer_layers_per_block=depths[::-1][at],
                num_attention_heads=heads[::-1][at],
                attention_head_dim=heads[::-1][at],
                **shared,
            )
            for at, kind in enumerate(up_block_types)
        )
        self.brushnet_down_blocks = _zeroes([widths[0], *_told(widths, layers_per_block)])
        self.brushnet_mid_block = _zeroes([widths[-1]])[0]
        self.brushnet_up_blocks = _zeroes(_told(upwards, layers_per_block + 1))

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        brushnet_cond: Tensor,
        conditioning_scale: Tensor,
        encoder_hidden_states: Tensor | None = None,
        added_cond_kwargs: dict[str, Tensor] | None = None,
    ) -> list[Tensor]:
        """What is to be added to the outputs of a UNet's layers.

        Args:
            sample: (N, in_channels, H, W): noisy latents, scaled as the UNet gets them.
            timestep: one number, or (N,).
            brushnet_cond: (N, conditioning_channels, H, W).
            conditioning_scale: (N,): what each row's is multiplied by.
            encoder_hidden_states: (N, tokens, cross_attention_dim), for a network with cross attention.
            added_cond_kwargs: `text_embeds` and `time_ids`, as SDXL's UNet gets them.

        Returns:
            One tensor for each of the UNet's `points`, in their order.
        """
        embedded = self._time(sample, timestep)
        if self._sees_size_and_text:
            embedded = embedded + self._size_and_text(added_cond_kwargs or {}, embedded)
        places = points(self, self.conv_in_condition)
        left: dict[nn.Module, Tensor] = {}
        # The blocks tell no more than their last output, and of the upward ones nothing else can be had.
        hooks = [
            place.register_forward_hook(lambda layer, _, made: left.__setitem__(layer, tensor_of(made)))
            for place in places
        ]
        try:
            self._walk(torch.cat([sample, brushnet_cond], dim=1), embedded, encoder_hidden_states)
        finally:
            for hook in hooks:
                hook.remove()
        zeroes = [*self.brushnet_down_blocks, self.brushnet_mid_block, *self.brushnet_up_blocks]
        scale = conditioning_scale.to(sample.dtype)[:, None, None, None]
        return [zero(left[place]) * scale for zero, place in zip(zeroes, places, strict=True)]

    def _walk(self, given: Tensor, embedded: Tensor, text: Tensor | None) -> None:
        """Down and up as a UNet does, without its end."""
        hidden = self.conv_in_condition(given)
        skipped: list[Tensor] = [hidden]
        for block in self.down_blocks:
            hidden, outputs = block(hidden, embedded, **_text_for(block, text))
            skipped += outputs
        hidden = self.mid_block(hidden, embedded, **_text_for(self.mid_block, text))
        for block in self.up_blocks:
            count = len(cast("nn.ModuleList", block.resnets))
            skips, skipped = tuple(skipped[-count:]), skipped[:-count]
            # A side that is no multiple of 8 was rounded up on the way down.
            size = skipped[-1].shape[2:] if skipped else None
            hidden = block(hidden, skips, embedded, upsample_size=size, **_text_for(block, text))

    def _time(self, sample: Tensor, timestep: Tensor | float) -> Tensor:
        steps = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        embedded: Tensor = self.time_embedding(self.time_proj(steps).to(sample.dtype))
        return embedded

    def _size_and_text(self, given: dict[str, Tensor], like: Tensor) -> Tensor:
        text = given["text_embeds"]
        sizes = self.add_time_proj(given["time_ids"].flatten()).reshape(len(text), -1)
        embedded: Tensor = self.add_embedding(torch.cat([text, sizes], dim=-1).to(like.dtype))
        return embedded


def points(net: Any, entry: nn.Module) -> list[nn.Module]:
    """The layers of a UNet, or of a BrushNet for it, whose outputs are told and added to: first the way down.

    Args:
        entry: what the latents go through first.
    """
    down = [layer for block in net.down_blocks for layer in _layers(block, "downsamplers")]
    up = [layer for block in net.up_blocks for layer in _layers(block, "upsamplers")]
    return [entry, *down, net.mid_block, *up]


def tensor_of(made: Any) -> Tensor:
    """What a layer has made; transformers give it as the only part of a tuple."""
    tensor: Tensor = made[0] if isinstance(made, tuple) else made
    return tensor


def _layers(block: Any, resampling: str) -> Iterator[nn.Module]:
    """In a stage with attention, what leaves each attention is what leaves the layer."""
    yield from getattr(block, "attentions", None) or block.resnets
    yield from getattr(block, resampling) or ()


def _text_for(block: Any, text: Tensor | None) -> dict[str, Tensor | None]:
    return {"encoder_hidden_states": text} if getattr(block, "has_cross_attention", False) else {}


def _told(widths: Sequence[int], layers: int) -> list[int]:
    """The width of each output of stages, each but the last of which has one more layer to resample with."""
    return [width for at, width in enumerate(widths) for _ in range(layers + (at < len(widths) - 1))]


def _zeroes(widths: Sequence[int]) -> nn.ModuleList:
    """Convolutions of one pixel that begin as zero, so that an untrained network changes nothing."""
    made = nn.ModuleList(nn.Conv2d(width, width, kernel_size=1) for width in widths)
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    return made


def _each(value: int | Sequence[int], count: int) -> list[int]:
    return [value] * count if isinstance(value, int) else list(value)
