"""How near what a picture shows is, told by DPT from a folder of transformers.

Source: Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction", 2021.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch

from engine.diffusion.quiet import quieten
from engine.diffusion.unusable import READ_ERRORS
from engine.images import Floats
from engine.interface import EngineError
from engine.preprocessing.levels import stretched
from protocol.errors import ErrorCode

_SEEN_PX: Final = 384
_MEAN: Final = (0.5, 0.5, 0.5)
_SETTINGS: Final = "preprocessor_config.json"


@dataclass(frozen=True, slots=True, eq=False)
class DepthNetwork:
    """A network in memory, and what it takes.

    Attributes:
        seen: width and height at which it looks.
        mean, deviation: of each colour in its training.
    """

    network: Any
    seen: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def load_depth_network(path: Path, device: str) -> DepthNetwork:
    """Read the folder that a file of weights lies in, and put the network on `device`, in single precision.

    Raises:
        EngineError: `bad_model`: there is no DPT in it, or not all of it.
    """
    from transformers import DPTConfig, DPTForDepthEstimation

    quieten()
    folder = path.parent
    model: Any = DPTForDepthEstimation
    try:
        settings = _settings(folder)
        network, told = model.from_pretrained(
            folder,
            config=DPTConfig.from_pretrained(folder, local_files_only=True),
            local_files_only=True,
            use_safetensors=path.suffix == ".safetensors",
            dtype=torch.float32,
            output_loading_info=True,
        )
        if told["missing_keys"]:
            raise ValueError(f"{sorted(told['missing_keys'])[0]} is missing")
        side = settings.get("size", _SEEN_PX)
        seen = (int(side["width"]), int(side["height"])) if isinstance(side, dict) else (int(side), int(side))
        mean, deviation = (tuple(settings.get(name, _MEAN)) for name in ("image_mean", "image_std"))
    except READ_ERRORS as error:
        message = f"{folder.name}: expected a DPT for depth in the layout of transformers, config.json and {path.name}"
        raise EngineError(ErrorCode.BAD_MODEL, message) from error
    return DepthNetwork(network.requires_grad_(False).to(device).eval(), seen, mean, deviation)


def nearness(depth: DepthNetwork, picture: Floats) -> Floats:
    """A device call.

    Args:
        picture: (H, W, 3), RGB in [0, 1].

    Returns:
        (H, W, 3) in [0, 1]: grey, the nearest white and the farthest black.
    """
    height, width = picture.shape[:2]
    resized = np.clip(cv2.resize(picture, depth.seen, interpolation=cv2.INTER_CUBIC), 0, 1)
    normal = (resized - np.array(depth.mean, np.float32)) / np.array(depth.deviation, np.float32)
    weight = next(depth.network.parameters())
    pixels = torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32))[None].to(weight.device)
    with torch.inference_mode():
        told = depth.network(pixels).predicted_depth[0].float().cpu().numpy()
    shown = stretched(cv2.resize(told, (width, height), interpolation=cv2.INTER_CUBIC), 0, 100)
    return np.repeat(shown[..., None], 3, axis=2)


def _settings(folder: Path) -> Mapping[str, Any]:
    """How pictures are brought into the form it takes; empty if the folder does not say."""
    file = folder / _SETTINGS
    if not file.is_file():
        return {}
    read: Any = json.loads(file.read_text(encoding="utf-8"))
    return read if isinstance(read, dict) else {}
