"""BrushNets, as files and as folders."""

from collections.abc import Generator
from functools import partial
from typing import Any, Final

from engine.diffusion.brushnet import BrushNetModel
from engine.diffusion.folder_modules import module_loading
from engine.diffusion.folders import read_json
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.interface import Call, Where
from engine.library.records import FoundModel

PART: Final = "brushnet"
_STAGE: Final = "load"
_ENTRY: Final = "conv_in_condition.weight"
_LIKE_THE_UNET: Final = (
    *("flip_sin_to_cos", "freq_shift", "block_out_channels", "layers_per_block", "downsample_padding"),
    *("mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim"),
    *("transformer_layers_per_block", "attention_head_dim", "num_attention_heads", "use_linear_projection"),
    *("upcast_attention", "resnet_time_scale_shift", "addition_embed_type", "addition_time_embed_dim"),
    *("projection_class_embeddings_input_dim", "in_channels"),
)


def brushnet_loading(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    """Load a BrushNet to use with `model`, in calls: a `BrushNetModel` at the model's home. Use with `yield from`.

    A single file holds weights alone, under the names a folder has them by: they are put into a BrushNet for the
    model's own denoiser.

    Raises:
        ModelUnusable: it is corrupt, incomplete or no BrushNet.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    quieten()
    try:
        if found.is_folder:
            return (yield from _from_folder(found, model))
        tensors = yield Call(partial(read_tensors, found.path, (), model.dtype), where=Where.POOL, stage=_STAGE)
        return (yield Call(partial(_build, tensors, model), stage=_STAGE))
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def _from_folder(found: FoundModel, model: LoadedModel) -> Generator[Call, Any, Any]:
    named = read_json(found.path / "config.json").get("_class_name")
    if named != BrushNetModel.__name__:
        raise ValueError(f"it is a {named!r:.80}; {BrushNetModel.__name__} is all that is known here")
    return (yield from module_loading(BrushNetModel, found.path, model.dtype, model.home, part=PART))


def _build(tensors: Tensors, model: LoadedModel) -> Any:
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
    fill(net, tensors, part=PART)
    return net.to(model.home)


def _attends(tensors: Tensors) -> bool:
    """Whether it looks at a text; PowerPaint's do."""
    return any(".attentions." in name for name in tensors)
