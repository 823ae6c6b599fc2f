"""From the published weights of GFPGAN and RestoreFormer to a network that restores faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from engine.images import Bytes, Floats
from engine.interface import EngineError
from engine.plugins.gfpgan import GfpGan
from engine.plugins.restoreformer import RestoreFormer
from engine.upscaling.published import read_state
from protocol.errors import ErrorCode

Restorer: TypeAlias = GfpGan | RestoreFormer

_DICTIONARY: Final = "quantize.embedding.weight"
_GENERATOR: Final = "stylegan_decoder.constant_input.weight"
_PUBLISHED_CHANNELS: Final = 512


def load_restorer(path: Path, device: str) -> Restorer:
    """Read a file and put the network on `device`, in single precision: half runs over in both.

    Raises:
        EngineError: `bad_model`: it holds neither network, or not all of one.
    """
    state = read_state(path)
    try:
        network = _empty(state)
        network.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        message = f"{path.name}: expected the weights of GFPGAN (the clean version) or RestoreFormer"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error
    return network.requires_grad_(False).to(device).eval()


def restore(network: Restorer, face: Bytes) -> Floats:
    """A face as the network makes it: (S, S, 3) uint8 to (S, S, 3) float32 in [0, 1]."""
    device = next(network.parameters()).device
    planes = torch.tensor(np.ascontiguousarray(face.transpose(2, 0, 1)), dtype=torch.float32, device=device)
    with torch.inference_mode():
        made: Tensor = network((planes / 127.5 - 1)[None])[0]
        colours = ((made + 1) / 2).clamp(0, 1).cpu().numpy()
    return np.ascontiguousarray(colours.transpose(1, 2, 0), dtype=np.float32)


def _empty(state: Mapping[str, Tensor]) -> Restorer:
    if _DICTIONARY in state:
        words, length = state[_DICTIONARY].shape
        return RestoreFormer(width=state["encoder.conv_in.weight"].shape[0], words=words, length=length)
    noises = [value for name, value in state.items() if name.startswith("stylegan_decoder.noises.")]
    side_px = max(value.shape[-1] for value in noises)
    return GfpGan(side_px=side_px, width=state[_GENERATOR].shape[1] / _PUBLISHED_CHANNELS)
