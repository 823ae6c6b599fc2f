"""Read the state dicts that the authors of Real-ESRGAN publish (`.pth`).

A file holds the weights by name, or a dictionary with them under `params_ema` or `params`. Which network they are of,
and how large it is, follows from their names and shapes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from engine.interface import EngineError
from engine.upscaling.compact import CHANNELS, CompactNet
from engine.upscaling.rrdb import RrdbNet
from protocol.errors import ErrorCode

_INSIDE: Final = ("params_ema", "params")


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights in a file, by name.

    Raises:
        EngineError: `bad_model`: it holds none that can be read without running code.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: holds no weights that can be read") from error
    if isinstance(content, Mapping):
        content = next((content[name] for name in _INSIDE if isinstance(content.get(name), Mapping)), content)
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: expected weights by name")
    return {str(name): value for name, value in content.items()}


def network_of(state: Mapping[str, Tensor], name: str) -> CompactNet | RrdbNet:
    """The network that these are the weights of, on the CPU.

    Args:
        name: of the file, for the message.

    Raises:
        EngineError: `bad_model`: they are of neither network, or not all there.
    """
    try:
        network = _empty_compact(state) if "body.0.weight" in state else _empty_rrdb(state)
        network.load_state_dict(dict(state))
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        message = f"{name}: expected the weights of a Real-ESRGAN network, compact or RRDB, that enlarges four times"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error
    return network.requires_grad_(False)


def _empty_compact(state: Mapping[str, Tensor]) -> CompactNet:
    last = max(int(name.split(".")[1]) for name in state)
    scale = round((state[f"body.{last}.weight"].shape[0] / CHANNELS) ** 0.5)
    return CompactNet(width=state["body.0.weight"].shape[0], depth=last // 2 - 1, scale=scale)


def _empty_rrdb(state: Mapping[str, Tensor]) -> RrdbNet:
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    growth, width = state["body.0.rdb1.conv1.weight"].shape[:2]
    return RrdbNet(width=width, growth=growth, blocks=blocks)
