"""Weights by name into a network of ours, all of them and nothing else."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from engine.inpainting.stylegan import low_pass
from engine.interface import EngineError
from protocol.errors import ErrorCode

_SHOWN: int = 3
_FILTER = "resample_filter"


def fill(network: nn.Module, weights: Mapping[str, Tensor], what: str, *, is_left_out: Callable[[str], bool]) -> None:
    """Give a network, made on the `meta` device, its weights.

    The low-pass filter that files of the StyleGAN family repeat at every layer must be the one used here.

    Args:
        weights: on the CPU; they become the network's own.
        what: names the model in messages.
        is_left_out: whether a name of the file is known and not needed.

    Raises:
        EngineError: `bad_model`: something is missing, unexpected or of another shape.
    """
    wanted = network.state_dict()
    given = {name: value for name, value in weights.items() if not is_left_out(name) and not _is_filter(name)}
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    if missing or unexpected:
        parts = [f"{kind} {_listed(names)}" for kind, names in (("no", missing), ("an unknown", unexpected)) if names]
        raise _bad(what, f"it has {' and '.join(parts)}")
    for name, value in given.items():
        if value.shape != wanted[name].shape:
            raise _bad(what, f"{name}: expected {tuple(wanted[name].shape)}, got {tuple(value.shape)}")
    for name, value in weights.items():
        if _is_filter(name) and not (value.shape == (4, 4) and torch.allclose(value.float(), low_pass(), atol=1e-3)):
            raise _bad(what, f"{name}: another filter than the one it was published with")
    network.load_state_dict(given, strict=True, assign=True)


def side_of(weights: Mapping[str, Tensor], name: str, axis: int, what: str) -> int:
    """One side of one of the weights.

    Raises:
        EngineError: `bad_model`: it is not there.
    """
    value = weights.get(name)
    if value is None or value.ndim <= axis:
        raise _bad(what, f"it has no {name}")
    return value.shape[axis]


def size_bytes(network: nn.Module) -> int:
    """Of its weights in memory."""
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


def _is_filter(name: str) -> bool:
    return name.rpartition(".")[2] == _FILTER


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" (and {more} more)" if more > 0 else "")


def _bad(what: str, problem: str) -> EngineError:
    return EngineError(ErrorCode.BAD_MODEL, f"{what}: this file is not the published model: {problem}")
