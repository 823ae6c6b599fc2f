"""BLIP: one sentence for a photograph.

Source: Li et al., "BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language Understanding and
Generation", 2022; the network is that of transformers, the words are drawn by nucleus sampling (Holtzman et al., 2019).
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from engine.images import Bytes
from engine.plugins.worded_network import load_worded_network

_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
_NUCLEUS: Final = 0.9
"""The share of likelihood that words are drawn from."""
_MOST_TOKENS: Final = 75


class Captioner:
    """A network and its words."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer

    def caption(self, image: Bytes, seed: int) -> str:
        """The same for the same picture and seed.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        device = self._network.device
        seen = self._prepared(image).to(device)
        # The library draws from the global generators: they are lent for this one call, and given back as they were.
        devices = [device] if device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            words = self._network.generate(
                pixel_values=seen, do_sample=True, top_p=_NUCLEUS, top_k=0, num_beams=1, max_length=_MOST_TOKENS
            )
        # The first says only that a caption begins.
        return str(self._tokenizer.decode(words[0][1:], skip_special_tokens=True)).strip()

    def _prepared(self, image: Bytes) -> torch.Tensor:
        """(1, 3, side, side): all of the picture, squeezed into a square."""
        side = int(self._network.config.vision_config.image_size)
        scaled = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(scaled, np.float32) / 255
        normal = (pixels - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32))


def load_captioner(path: Path, device: str) -> Captioner:
    """Read the folder that a file of weights lies in: with its configuration and its tokenizer.

    Raises:
        EngineError: `bad_model`: something of it is missing, or is another's.
    """
    loaded = load_worded_network(
        path, device, architecture="BlipForConditionalGeneration", model_type="blip", called="BLIP"
    )
    return Captioner(loaded.network, loaded.tokenizer)
