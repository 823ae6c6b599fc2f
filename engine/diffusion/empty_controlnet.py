"""A ControlNet that waits for its weights, of the shape that its file and the model it is for tell."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from engine.diffusion.folders import Part, class_of
from engine.diffusion.weights import Tensors, check_complete

CONTROLNET_PART: Final = Part("controlnet", "diffusers", "ControlNetModel")
_SEES: Final = "controlnet_cond_embedding"
"""The layers a control picture goes through first."""


def empty_controlnet(unet_config: Mapping[str, Any], in_channels: int, whole: Tensors) -> Any:
    """
    Args:
        unet_config: of the denoiser that it works with.
        in_channels: of the latents it is shown.
        whole: tensors of its file as they are, under diffusers' names.

    Raises:
        ValueError: `whole` lacks layers that a control picture goes through.
    """
    from accelerate import init_empty_weights
    from diffusers.configuration_utils import FrozenDict

    mapping: Any = FrozenDict
    config = mapping({**unet_config, "in_channels": in_channels})
    with init_empty_weights():
        return class_of(CONTROLNET_PART).from_unet(
            SimpleNamespace(config=config),
            conditioning_embedding_out_channels=_seeing_channels(whole),
            load_weights_from_unet=False,
        )


def _seeing_channels(whole: Tensors) -> tuple[int, ...]:
    """Every second of the layers has the next number of channels."""
    blocks = sum(name.startswith(f"{_SEES}.blocks.") and name.endswith(".weight") for name in whole)
    names = [f"{_SEES}.conv_in.weight", *(f"{_SEES}.blocks.{number}.weight" for number in range(1, blocks, 2))]
    check_complete(CONTROLNET_PART.name, [name for name in names if name not in whole])
    return tuple(whole[name].shape[0] for name in names)
