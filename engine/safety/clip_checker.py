"""The safety checker of Stable Diffusion: how near a picture is, in CLIP's space, to concepts that are not to be shown.

Source: the module diffusers has for it. A picture is unsafe if its cosine to any concept exceeds that concept's
threshold; one that is near a concept of special care is held to thresholds lower by 0.01.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from torch.nn import functional
from transformers import CLIPConfig

from engine.diffusion.weights import read_tensors
from engine.images import Bytes
from engine.interface import EngineError
from protocol.errors import ErrorCode

_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
_CAREFUL: Final = 0.01
_DECIMALS: Final = 3
_CONFIG: Final = "config.json"
_VIT_L_14: Final = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "patch_size": 14,
    "image_size": 224,
}
"""Of the published file, for where it lies without its configuration."""
_BUFFER: Final = "position_ids"
"""Saved with older weights; made anew by the module."""


class ClipChecker:
    """The network. Implements `engine.safety.checkers.SafetyChecker`."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def is_unsafe(self, image: Bytes) -> bool:
        """
        Args:
            image: (H, W, 3) uint8, RGB.
        """
        network = self._network
        with torch.inference_mode():
            seen = self._prepared(image).to(network.concept_embeds.device)
            direction = functional.normalize(network.visual_projection(network.vision_model(seen)[1]))
            care = _exceeded(direction, network.special_care_embeds, network.special_care_embeds_weights, 0.0)
            lowered = _CAREFUL if care else 0.0
            return _exceeded(direction, network.concept_embeds, network.concept_embeds_weights, lowered)

    def _prepared(self, image: Bytes) -> torch.Tensor:
        """(1, 3, side, side): the middle of the picture."""
        side = int(self._network.config.vision_config.image_size)
        height, width = image.shape[:2]
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        scaled = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
        pixels = np.asarray(scaled.crop((left, top, left + side, top + side)), np.float32) / 255
        normal = (pixels - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32))


def load_clip_checker(path: Path, device: str) -> ClipChecker:
    """Read the file, with the configuration beside it if there is one.

    Raises:
        EngineError: `bad_model`: it does not hold the weights of a safety checker.
    """
    config = path.parent / _CONFIG
    told = json.loads(config.read_bytes()) if config.is_file() else {"vision_config": _VIT_L_14, "projection_dim": 768}
    network: Any = StableDiffusionSafetyChecker(CLIPConfig(**told))
    tensors = read_tensors(path, (), torch.float32)
    state = {name: tensor for name, tensor in tensors.items() if not name.endswith(_BUFFER)}
    try:
        missing, unknown = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise _unusable(path, "its weights have other shapes") from error
    missing = [name for name in missing if not name.endswith(_BUFFER)]
    if missing or unknown:
        raise _unusable(path, f"{len(missing)} weights are missing, {len(unknown)} are not its own")
    return ClipChecker(network.requires_grad_(False).eval().to(device, torch.float32))


def _unusable(path: Path, reason: str) -> EngineError:
    return EngineError(ErrorCode.BAD_MODEL, f"the safety checker cannot be used: {path.name}: {reason}")


def _exceeded(direction: torch.Tensor, concepts: torch.Tensor, thresholds: torch.Tensor, lowered: float) -> bool:
    """Whether any concept is nearer than its threshold; differences count to three decimals, as in the original."""
    nearness = direction @ functional.normalize(concepts).T
    return bool((torch.round(nearness[0] - thresholds + lowered, decimals=_DECIMALS) > 0).any())
