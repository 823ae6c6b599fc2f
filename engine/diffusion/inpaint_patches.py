"""Patches that turn an SDXL model into one for inpainting, in the form that Fooocus publishes its own.

    inpaint*.fooocus.patch       changes to the weights of the UNet, 8 bits each
    fooocus_inpaint_head.pth     what reads the mask and the masked picture; the same for every patch

No such file was at hand: the format is as their description has it.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.diffusion.loaded import LoadedModel
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.interface import Call, Where
from engine.library.records import Family
from protocol.holes import InpaintPatch

HEAD: Final = "fooocus_inpaint_head.pth"
FILES: Final = {
    InpaintPatch.V1: "inpaint.fooocus.patch",
    InpaintPatch.V2_5: "inpaint_v25.fooocus.patch",
    InpaintPatch.V2_6: "inpaint_v26.fooocus.patch",
}
"""As Fooocus stores them."""
_FOLDERS: Final = ("inpaint", "models/inpaint", "")
_LATENTS: Final = 4
_HEAD_CHANNELS: Final = 5
_LEVELS: Final = 255
_PREFIXES: Final = ("model.diffusion_model.", "diffusion_model.")
_BLOCKS: Final = "model.diffusion_model.{half}_blocks.{number}.none"


@dataclass(frozen=True, slots=True)
class PatchFiles:
    """A patch that is there."""

    patch: Path
    head: Path


def find_patch(name: InpaintPatch, roots: Sequence[Path]) -> PatchFiles | None:
    """The files of a patch in folders for models, Fooocus' own among them; None if one is missing. Asks the disk."""
    places = [root / folder for root in roots for folder in _FOLDERS]
    patch = next((place / FILES[name] for place in places if (place / FILES[name]).is_file()), None)
    head = next((place / HEAD for place in places if (place / HEAD).is_file()), None)
    return None if patch is None or head is None else PatchFiles(patch, head)


class PatchedEntrance(nn.Module):
    """The first convolution of a UNet that is shown the mask and the masked picture beside the latents.

    Args:
        entrance: the model's own, for the latents.
        head: (channels, 5, 3, 3): the mask, then the four channels of the masked picture.
    """

    def __init__(self, entrance: nn.Module, head: Tensor) -> None:
        super().__init__()
        self.entrance = entrance
        self.head = nn.Parameter(head, requires_grad=False)

    def forward(self, latents: Tensor) -> Tensor:
        """
        Args:
            latents: (N, 9, h, w), in the order of the inpainting pipelines: latents, mask, masked picture.
        """
        shown = functional.pad(latents[:, _LATENTS:], (1, 1, 1, 1), mode="replicate")
        plain: Tensor = self.entrance(latents[:, :_LATENTS])
        return plain + functional.conv2d(shown, self.head)


def patching(loaded: LoadedModel, files: PatchFiles) -> Generator[Call, Any, None]:
    """Make an inpainting model of one that nobody uses yet, in place. Use with `yield from`.

    Raises:
        ModelUnusable: the files are damaged, or for another model.
    """
    name = files.patch.name
    try:
        patch = yield Call(partial(read_tensors, files.patch), Where.POOL, "load")
        head = yield Call(partial(read_tensors, files.head), Where.POOL, "load")
        yield Call(partial(apply_patch, loaded.components["unet"], patch, head, name), stage="load")
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, files.patch)
    else:
        loaded.family = Family.SDXL_INPAINT
        return
    raise ModelUnusable(name, problem)


def apply_patch(unet: Any, patch: Mapping[str, Any], head: Mapping[str, Any], name: str) -> None:
    """Make a UNet of four channels one of nine, in place. On the thread that owns its weights.

    Args:
        patch: name of a weight, as in single files -> its change in whole numbers of 0..255, and what 0 and 255 are.
        head: the one tensor that reads the mask.

    Raises:
        ModelUnusable: they are for another model.
    """
    reader = next((each for each in head.values() if isinstance(each, Tensor) and each.ndim == _LATENTS), None)
    entrance = unet.conv_in
    wanted = (entrance.out_channels, _HEAD_CHANNELS, 3, 3)
    if reader is None or tuple(reader.shape) != wanted:
        raise ModelUnusable(name, f"its head is not of the shape {wanted}")
    weights = dict(unet.named_parameters())
    changes = _by_name(unet, patch)
    unknown = [each for each, change in changes.items() if each not in weights or not _fits(change, weights[each])]
    if unknown or not changes:
        what = f"{unknown[0]} is not one of its weights" if unknown else "it changes nothing"
        raise ModelUnusable(name, f"the patch is for another model: {what}")
    with torch.no_grad():
        for each, (levels, least, most) in changes.items():
            weight = weights[each]
            spread = (most.float() - least.float()).to(weight.device)
            change = levels.to(weight.device, torch.float32) / _LEVELS * spread + least.float().to(weight.device)
            weight += change.reshape(weight.shape).to(weight.dtype)
    unet.conv_in = PatchedEntrance(entrance, reader.to(entrance.weight.device, entrance.weight.dtype))
    unet.register_to_config(in_channels=_LATENTS + _HEAD_CHANNELS)


def read_tensors(path: Path) -> Mapping[str, Any]:
    """What a file holds, read without running any code in it. Blocks.

    Raises:
        one of `engine.diffusion.unusable.READ_ERRORS`.
    """
    held = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(held, Mapping):
        raise ValueError("expected tensors by name")
    return held


def _by_name(unet: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The changes under diffusers' names."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    named = {}
    for name, change in patch.items():
        bare = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
        named[f"model.diffusion_model.{bare}"] = change
    config = dict(unet.config)
    # The libraries count the blocks by their names, and a patch may leave some alone.
    count = len(config["block_out_channels"]) * (config["layers_per_block"] + 1)
    for half in ("input", "output"):
        for number in range(count):
            named.setdefault(_BLOCKS.format(half=half, number=number), None)
    for number in range(3):
        named.setdefault(f"model.diffusion_model.middle_block.{number}.none", None)
    for layer in ("label_emb.0.0", "label_emb.0.2"):
        for kind in ("weight", "bias"):
            named.setdefault(f"model.diffusion_model.{layer}.{kind}", None)
    convert: Callable[..., Mapping[str, Any]] = convert_ldm_unet_checkpoint
    converted = convert(named, config)
    return {name: change for name, change in converted.items() if change is not None}


def _fits(change: Any, weight: Tensor) -> bool:
    if not isinstance(change, tuple | list) or len(change) != 3:
        return False
    return all(isinstance(each, Tensor) for each in change) and change[0].numel() == weight.numel()
