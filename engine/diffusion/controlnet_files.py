"""ControlNets, as files and as folders."""

from types import SimpleNamespace
from typing import Any, Final

from engine.diffusion.control_loras import build_from_lora, told_sizes
from engine.diffusion.folders import Part, class_of
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.side_networks import SideNetwork
from engine.diffusion.weights import Tensors, fill
from engine.library.sniff import CONTROL_LORA_MARK

_PART: Final = Part("controlnet", "diffusers", "ControlNetModel")
_SEES: Final = "controlnet_cond_embedding"
"""The layers a control picture goes through first."""


def _build(tensors: Tensors, model: LoadedModel) -> Any:
    """For the model's own denoiser: a single file holds weights alone. A Control-LoRA changes that denoiser's own."""
    return (build_from_lora if CONTROL_LORA_MARK in tensors else _build_whole)(tensors, model)


def _build_whole(tensors: Tensors, model: LoadedModel) -> Any:
    """Out of a file in the layout of diffusers or of the training programs."""
    from accelerate import init_empty_weights
    from diffusers.configuration_utils import FrozenDict
    from diffusers.loaders import single_file_utils

    unet: Any = model.denoiser
    names: Any = single_file_utils
    renamed = {
        name: tensor
        for name, tensor in names.convert_controlnet_checkpoint(tensors, unet.config).items()
        if tensor is not None
    }
    renamed |= told_sizes(tensors)
    if "conv_in.weight" not in renamed:
        raise ValueError("it has no ControlNet (control_model. or conv_in)")
    mapping: Any = FrozenDict
    config = mapping({**unet.config, "in_channels": renamed["conv_in.weight"].shape[1]})
    with init_empty_weights():
        net = class_of(_PART).from_unet(
            SimpleNamespace(config=config),
            conditioning_embedding_out_channels=_seeing_channels(renamed),
            load_weights_from_unet=False,
        )
    fill(net, renamed, part=_PART.name)
    return net.to(model.home)


def _seeing_channels(renamed: Tensors) -> tuple[int, ...]:
    """Every second of the layers has the next number of channels."""
    blocks = sum(name.startswith(f"{_SEES}.blocks.") and name.endswith(".weight") for name in renamed)
    wider = [f"{_SEES}.blocks.{number}.weight" for number in range(1, blocks, 2)]
    return tuple(renamed[name].shape[0] for name in (f"{_SEES}.conv_in.weight", *wider))


CONTROLNET: Final = SideNetwork(
    field="controls",
    part=_PART.name,
    class_name=_PART.class_name,
    network=lambda: class_of(_PART),
    build=_build,
    alike=("cross_attention_dim", "addition_embed_type"),
)
