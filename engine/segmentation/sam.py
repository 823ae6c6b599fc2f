"""MobileSAM as a whole: load it, encode a picture, decode a prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.segmentation.mask_decoder import MaskDecoder
from engine.segmentation.prompt_encoder import PromptEncoder
from engine.segmentation.tiny_vit import ConvNorm, TinyViT

SIDE_PX: Final = 1024
"""Side of the square the encoder sees; the picture fills it along its longer side."""
_MEAN: Final = (123.675, 116.28, 103.53)
_DEVIATION: Final = (58.395, 57.12, 57.375)
_CLASSIFIER: Final = ("image_encoder.norm_head.", "image_encoder.head.")
"""Left in the published file from training; segmentation has no use for it."""


@dataclass(frozen=True, slots=True)
class Click:
    """A point in pixels of the picture, inside or outside the object."""

    x: float
    y: float
    is_included: bool


@dataclass(frozen=True, slots=True)
class Edges:
    """A box in pixels of the picture."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedMask:
    """One answer: (H, W) bool, and the intersection over union with the truth that the network expects."""

    mask: NDArray[np.bool_]
    score: float


class MobileSam(nn.Module):
    """The three networks under the names of the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = TinyViT()
        self.prompt_encoder = PromptEncoder(side_px=SIDE_PX)
        self.mask_decoder = MaskDecoder()

    @property
    def device(self) -> torch.device:
        return self.prompt_encoder.no_mask_embed.weight.device

    def prepare(self, rgb: NDArray[np.float32]) -> Tensor:
        """(H, W, 3) in [0, 1] to what the first piece of the encoder takes: (1, 3, 1024, 1024).

        Scaled on the CPU, wherever the network is: a large picture would take a gigabyte of a GPU, and CUDA cannot
        scale very long ones.
        """
        height, width = scaled_size(rgb.shape[0], rgb.shape[1])
        pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
        pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True) * 255
        mean, deviation = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
        square = functional.pad((pixels - mean) / deviation, (0, SIDE_PX - width, 0, SIDE_PX - height))
        return square.to(self.device, memory_format=torch.channels_last)

    def encoder_pieces(self) -> list[Callable[[Tensor], Tensor]]:
        """The encoder in pieces, from what `prepare` gives to an embedding."""
        return self.image_encoder.pieces()

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        clicks: Sequence[Click],
        box: Edges | None,
        count: int,
    ) -> list[SegmentedMask]:
        """The `count` best masks for a prompt, best first.

        Those that obey the most clicks come first, among them those with the higher score. A single click may mean a
        thing, a part of it or a part of that: the network has one candidate for each. For several prompts there is a
        fourth, for the case that they leave no doubt.

        Args:
            embedding: (1, 256, 64, 64), of this picture.
            size: height and width of the picture.
            clicks, box: at least one of them.
            count: 1 to 3.
        """
        scale = SIDE_PX / max(size)
        points = torch.tensor([[click.x, click.y] for click in clicks], device=self.device).view(-1, 2) * scale
        is_included = torch.tensor([click.is_included for click in clicks], dtype=torch.bool, device=self.device)
        edges = None
        if box is not None:
            edges = torch.tensor([box.left, box.top, box.right, box.bottom], device=self.device) * scale
        prompt = self.prompt_encoder(points, is_included, edges)
        features = embedding + self.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        places = self.prompt_encoder.pe_layer.grid(embedding.shape[-1])
        logits, scores = self.mask_decoder(features, places, prompt)
        is_single = len(clicks) == 1 and box is None
        obeyed = self._obeyed(logits, points, is_included)
        expected: list[float] = scores.tolist()
        ranked = sorted(range(1 if is_single else 0, len(expected)), key=lambda at: (-obeyed[at], -expected[at]))
        return [
            SegmentedMask(self._enlarged(logits[place], size).cpu().numpy(), expected[place])
            for place in ranked[:count]
        ]

    @staticmethod
    def _obeyed(logits: Tensor, points: Tensor, is_included: Tensor) -> list[int]:
        """How many of the clicks each of the (K, 256, 256) candidates obeys."""
        places = (points * (logits.shape[-1] / SIDE_PX)).long().clamp(0, logits.shape[-1] - 1)
        inside = logits[:, places[:, 1], places[:, 0]] > 0
        counts: list[int] = (inside == is_included).sum(dim=1).tolist()
        return counts

    @staticmethod
    def _enlarged(logits: Tensor, size: tuple[int, int]) -> Tensor:
        """(256, 256) to (H, W) bool: enlarge to the square, cut the picture out of it, fit it to size."""
        height, width = scaled_size(*size)
        square = functional.interpolate(logits[None, None], (SIDE_PX, SIDE_PX), mode="bilinear")
        return functional.interpolate(square[..., :height, :width], size, mode="bilinear")[0, 0] > 0


def load_sam(path: Path, device: str) -> MobileSam:
    """Read `mobile_sam.pt`.

    Raises:
        RuntimeError: the file holds other parameters.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = MobileSam()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith(_CLASSIFIER)})
    network.requires_grad_(False).eval()
    # A third faster on a CPU, together with the layout of the channels.
    for module in network.image_encoder.modules():
        if isinstance(module, ConvNorm):
            module.fuse()
    network.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack it
    return network.to(device)


def scaled_size(height: int, width: int) -> tuple[int, int]:
    """Height and width once the longer side is `SIDE_PX`."""
    scale = SIDE_PX / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
