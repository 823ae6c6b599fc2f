"""Networks saved as a folder of their own, loaded beside the device as far as their files allow it."""

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from engine.diffusion.example_encoder import CLASS as EXAMPLE_ENCODER
from engine.diffusion.example_encoder import encoder_loading
from engine.diffusion.folders import Part, class_of, load_module, load_part, read_json, weights_in
from engine.diffusion.vaes import share_vae, vae_dtype
from engine.diffusion.weights import Tensors, fill, read_tensors
from engine.interface import Call, Where

_STAGE: Final = "load"


def part_loading(folder: Path, part: Part, dtype: torch.dtype, device: torch.device) -> Generator[Call, Any, Any]:
    """One component of a diffusers folder, on the device. Use with `yield from`.

    Raises:
        READ_ERRORS: its files are missing, corrupt or incomplete.
    """
    if part.class_name == EXAMPLE_ENCODER:
        return (yield from encoder_loading(folder / part.name, dtype, device))
    found = class_of(part)
    if part.library != "diffusers" or not issubclass(found, nn.Module):
        return (yield Call(partial(load_part, folder, part, dtype, device), stage=_STAGE))
    place = folder / part.name
    if part.name == "vae":
        dtype = vae_dtype(read_json(place / "config.json"), dtype)
    return (yield from module_loading(found, place, dtype, device, part=part.name))


def module_loading(
    found: Any, place: Path, dtype: torch.dtype, device: torch.device, *, part: str
) -> Generator[Call, Any, Any]:
    """A module of diffusers on the device. Use with `yield from`.

    Its weights are read on the side pool and put in place in a short device call. Where that is not all there is to
    it (pickles, quantised weights, names or shapes from before diffusers changed them) the library loads it, in one
    device call that takes as long as reading does.

    Raises:
        READ_ERRORS: its files are missing, corrupt or incomplete.
    """
    files = weights_in(place)
    if files and all(file.suffix == ".safetensors" for file in files) and _is_plain(found, place):
        tensors = yield Call(partial(_read, files, dtype), where=Where.POOL, stage=_STAGE)
        module = yield Call(partial(_build, found, place, tensors, device, part), stage=_STAGE)
        if module is not None:
            return module
        del tensors
    return (yield Call(partial(load_module, found, place, dtype, device, part=part), stage=_STAGE))


def _is_plain(found: Any, place: Path) -> bool:
    """Whether its weights are of one precision, and are what its files hold."""
    return not found._keep_in_fp32_modules and "quantization_config" not in read_json(place / "config.json")


def _read(files: Sequence[Path], dtype: torch.dtype) -> Tensors:
    return {name: tensor for file in files for name, tensor in read_tensors(file, (), dtype).items()}


def _build(found: Any, place: Path, tensors: Tensors, device: torch.device, part: str) -> Any | None:
    """None if the tensors are not the module's as they are. Empties `tensors`."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        module = found.from_config(read_json(place / "config.json"))
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
    fits = all(name in tensors and tensors[name].shape == shape for name, shape in wanted.items())
    if fits:
        fill(module, tensors, part=part)
    tensors.clear()
    if not fits:
        return None
    if part == "vae":
        share_vae(module)
    return module.to(device)
