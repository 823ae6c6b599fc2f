"""Tensors out of files into modules: each in memory of its own, none missing, and nothing but tensors read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from safetensors import safe_open
from torch import Tensor, nn

Tensors: TypeAlias = dict[str, Tensor]

_NESTED: Final = ("state_dict", "model_state_dict")
"""Where training programs put the weights inside what they save."""
_SHOWN_NAMES: Final = 3


def read_tensors(path: Path, prefixes: Sequence[str], dtype: torch.dtype | None) -> Tensors:
    """The tensors of a file whose names begin with one of `prefixes`, copied into memory.

    Touches no device and no state shared between threads; may run on the side pool.

    Args:
        path: a safetensors file, or one that `torch.save` wrote: read with `weights_only`, so nothing in it is run.
        prefixes: () is everything.
        dtype: what floating-point tensors are turned into; None leaves them.

    Raises:
        SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, ValueError: the file is truncated, corrupt,
            holds more than tensors, or holds none.
    """
    if path.suffix == ".safetensors":
        return _from_safetensors(path, tuple(prefixes), dtype)
    found = {
        name: tensor for name, tensor in _unpickled(path).items() if not prefixes or name.startswith(tuple(prefixes))
    }
    return {name: _own(tensor, dtype) for name, tensor in found.items()}


def names_in(path: Path) -> frozenset[str]:
    """The names of the tensors in a file; none of them is read.

    Raises:
        SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, ValueError: as `read_tensors`.
    """
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return frozenset(file.keys())
    return frozenset(_unpickled(path))


def fill(module: nn.Module, tensors: Tensors, *, part: str) -> None:
    """Put `tensors` in the place of all parameters of a module that was made without memory for them.

    Tensors the module has no place for are left out: files carry what other programs need.

    Raises:
        ValueError: some are missing.
        RuntimeError: one has another shape.
    """
    known = module.state_dict().keys()
    missing, _ = module.load_state_dict(
        {name: tensor for name, tensor in tensors.items() if name in known}, strict=False, assign=True
    )
    check_complete(part, missing)
    _make_ready(module, part)


def settle(module: nn.Module, part: str) -> None:
    """Make a module that a library has loaded ready for use: no gradients, no training, memory of its own.

    A file that shrinks while it is mapped would end the process; and tensors at odd addresses round differently from
    the same ones at even addresses.

    Raises:
        ValueError: a parameter has no value.
    """
    _make_ready(module, part)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)


def check_complete(part: str, missing: Sequence[str]) -> None:
    """Raises ValueError if anything is missing."""
    if missing:
        more = f" and {len(missing) - _SHOWN_NAMES} more" if len(missing) > _SHOWN_NAMES else ""
        raise ValueError(f"its {part} is not whole: {', '.join(sorted(missing)[:_SHOWN_NAMES])}{more} missing")


def _make_ready(module: nn.Module, part: str) -> None:
    module.requires_grad_(requires_grad=False).eval()
    tensors = (*module.named_parameters(), *module.named_buffers())
    check_complete(part, [name for name, tensor in tensors if tensor.is_meta])


def _from_safetensors(path: Path, prefixes: tuple[str, ...], dtype: torch.dtype | None) -> Tensors:
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if not prefixes or name.startswith(prefixes)]  # noqa: SIM118 - no mapping
        return {name: _own(file.get_tensor(name), dtype) for name in names}


def _unpickled(path: Path) -> Mapping[str, Tensor]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        # The format before torch 1.6 is no archive that could be mapped.
        saved = torch.load(path, map_location="cpu", weights_only=True)
    while isinstance(saved, Mapping) and (inner := next((name for name in _NESTED if name in saved), None)):
        saved = saved[inner]
    tensors: dict[str, Any] = dict(saved) if isinstance(saved, Mapping) else {}
    tensors = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise ValueError("it holds no tensors under names")
    return tensors


def _own(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """`tensor` in memory of its own."""
    wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return tensor.to(wanted, copy=True, memory_format=torch.contiguous_format)
