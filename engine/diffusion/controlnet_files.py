"""ControlNets, as files and as folders."""

from typing import Any, Final

from engine.diffusion.control_loras import build_from_lora, told_sizes
from engine.diffusion.empty_controlnet import CONTROLNET_PART, empty_controlnet
from engine.diffusion.folders import class_of
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.side_networks import SideNetwork
from engine.diffusion.weights import Tensors, fill
from engine.library.sniff import CONTROL_LORA_MARK


def _build(tensors: Tensors, model: LoadedModel) -> Any:
    """For the model's own denoiser: a single file holds weights alone. A Control-LoRA changes that denoiser's own."""
    return (build_from_lora if CONTROL_LORA_MARK in tensors else _build_whole)(tensors, model)


def _build_whole(tensors: Tensors, model: LoadedModel) -> Any:
    """Out of a file in the layout of diffusers or of the training programs."""
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
    net = empty_controlnet(unet.config, renamed["conv_in.weight"].shape[1], renamed)
    fill(net, renamed, part=CONTROLNET_PART.name)
    return net.to(model.home)


CONTROLNET: Final = SideNetwork(
    field="controls",
    part=CONTROLNET_PART.name,
    class_name=CONTROLNET_PART.class_name,
    network=lambda: class_of(CONTROLNET_PART),
    build=_build,
    alike=("cross_attention_dim", "addition_embed_type"),
)
