"""BrushNets, as files and as folders."""

from typing import Any, Final

from engine.diffusion.brushnet import BrushNetModel
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.side_networks import SideNetwork
from engine.diffusion.weights import Tensors, fill

_ENTRY: Final = "conv_in_condition.weight"
_LIKE_THE_UNET: Final = (
    *("flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block", "downsample_padding"),
    *("mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim"),
    *("transformer_layers_per_block", "attention_head_dim", "num_attention_heads", "use_linear_projection"),
    *("upcast_attention", "resnet_time_scale_shift", "addition_embed_type", "addition_time_embed_dim"),
    *("projection_class_embeddings_input_dim", "in_channels"),
)


def _build(tensors: Tensors, model: LoadedModel) -> Any:
    """For the model's own denoiser: a single file holds weights alone, under the names a folder has them by."""
    from accelerate import init_empty_weights

    if _ENTRY not in tensors:
        raise ValueError(f"it has no BrushNet ({_ENTRY.removesuffix('.weight')})")
    unet: Any = model.denoiser
    settings = {name: unet.config[name] for name in _LIKE_THE_UNET}
    settings["conditioning_channels"] = tensors[_ENTRY].shape[1] - settings["in_channels"]
    for half in ("down_block_types", "up_block_types"):
        settings[half] = [kind if _attends(tensors) else kind.replace("CrossAttn", "") for kind in unet.config[half]]
    settings["mid_block_type"] = unet.config.mid_block_type if _attends(tensors) else "MidBlock2D"
    with init_empty_weights():
        net = BrushNetModel(**settings)
    fill(net, tensors, part=BRUSHNET.part)
    return net.to(model.home)


def _attends(tensors: Tensors) -> bool:
    """Whether it looks at a text; PowerPaint's do."""
    return any(".attentions." in name for name in tensors)


BRUSHNET: Final = SideNetwork(
    field="brushnet",
    part="brushnet",
    class_name=BrushNetModel.__name__,
    network=lambda: BrushNetModel,
    build=_build,
    alike=("block_out_channels", "layers_per_block", "in_channels", "addition_embed_type"),
)
