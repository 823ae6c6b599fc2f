"""ControlNets, as files and as folders."""

from collections.abc import Generator
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from engine.diffusion.control_loras import build_from_lora
from engine.diffusion.folder_modules import module_loading
from engine.diffusion.folders import Part, class_of, read_json
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.interface import Call, Where
from engine.library.records import FoundModel
from engine.library.sniff import CONTROL_LORA_MARK

_STAGE: Final = "load"
_PART: Final = Part("controlnet", "diffusers", "ControlNetModel")
_SEES: Final = "controlnet_cond_embedding"
"""The layers a control picture goes through first."""


def controlnet_loading(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    """Load a ControlNet to use with `model`, in calls: a `ControlNetModel` on its device. Use with `yield from`.

    A single file holds weights alone: they are put into a ControlNet for the model's own denoiser, in the layout of
    diffusers or of the training programs. A Control-LoRA changes that denoiser's own weights.

    Raises:
        ModelUnusable: it is corrupt, incomplete or no ControlNet.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    quieten()
    try:
        if found.is_folder:
            return (yield from _from_folder(found, model))
        tensors = yield Call(partial(read_tensors, found.path, (), model.dtype), where=Where.POOL, stage=_STAGE)
        build = build_from_lora if CONTROL_LORA_MARK in tensors else _build
        return (yield Call(partial(build, tensors, model), stage=_STAGE))
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def _from_folder(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    config = read_json(found.path / "config.json")
    if config.get("_class_name") != _PART.class_name:
        raise ValueError(f"it is a {config.get('_class_name')!r:.80}; {_PART.class_name} is all that is known here")
    return (yield from module_loading(class_of(_PART), found.path, model.dtype, model.home, part=_PART.name))


def _build(tensors: Tensors, model: LoadedModel) -> Any:
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
