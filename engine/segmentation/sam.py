"""Segment Anything of the first generation as a whole: encode a picture, decode a prompt.

Source: Kirillov et al., "Segment Anything", 2023.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.segmentation.mask_decoder import MaskDecoder
from engine.segmentation.prompt_encoder import PromptEncoder
from engine.segmentation.segmenter import (
    Click,
    Edges,
    Embedding,
    SegmentedMask,
    clicked,
    corners,
    is_ambiguous,
    normalised,
    ranked,
)
from engine.segmentation.tiny_vit import ConvNorm, TinyViT

SIDE_PX: Final = 1024
"""Side of the square the published encoders see; the picture fills it along its longer side."""


class ImageEncoder(Protocol):
    """(1, 3, side, side) normalised pixels to (1, C, side / 16, side / 16) features."""

    def pieces(self) -> list[Callable[[Tensor], Tensor]]:
        """As functions to be run one after the other, each on what the last one gave."""
        ...


class Sam(nn.Module):
    """The three networks under the names of the published files. Implements `engine.segmentation.segmenter.Segmenter`.

    Args:
        image_encoder: an `ImageEncoder`.
        side_px: of the square it sees.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        mask_decoder: MaskDecoder | None = None,
        *,
        prompt_encoder: PromptEncoder | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder or PromptEncoder(side_px=SIDE_PX)
        self.mask_decoder = mask_decoder or MaskDecoder()

    @property
    def device(self) -> torch.device:
        return self.prompt_encoder.no_mask_embed.weight.device

    @property
    def side_px(self) -> int:
        """Of the square the encoder sees."""
        return self.prompt_encoder.side_px

    def prepare(self, rgb: NDArray[np.float32]) -> Tensor:
        """(H, W, 3) in [0, 1] to (1, 3, side, side): the picture at the top left, zeros beside or below it."""
        height, width = scaled_size(rgb.shape[0], rgb.shape[1], self.side_px)
        square = functional.pad(normalised(rgb, (height, width)), (0, self.side_px - width, 0, self.side_px - height))
        return square.to(self.device, memory_format=torch.channels_last)

    def encoder_pieces(self) -> list[Callable[[Any], Any]]:
        encoder: Any = self.image_encoder
        pieces: list[Callable[[Any], Any]] = encoder.pieces()
        return pieces

    def decode(
        self, embedding: Embedding, size: tuple[int, int], clicks: Sequence[Click], box: Edges | None, count: int
    ) -> list[SegmentedMask]:
        scale = self.side_px / max(size)
        points, is_included = clicked(clicks, self.device)
        points = points * scale
        prompt = self.prompt_encoder(points, is_included, None if box is None else corners(box, self.device) * scale)
        logits, scores = self.candidates(embedding, prompt)
        first = 1 if is_ambiguous(clicks, box) else 0
        expected: list[float] = scores.tolist()[first:]
        places = points * (logits.shape[-1] / self.side_px)
        order = ranked(logits[first:], expected, places, is_included)
        return [
            SegmentedMask(self._enlarged(logits[first + place], size).cpu().numpy(), expected[place])
            for place in order[:count]
        ]

    def candidates(self, embedding: Embedding, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """(4, h, w) logits for a prompt of (1, T, C), and (4,) expected overlaps; the first is for clear prompts."""
        logits, scores = self.mask_decoder(self.with_no_mask(embedding), self.places(embedding), prompt)
        return logits, scores

    def with_no_mask(self, features: Tensor) -> Tensor:
        """Features with what the prompt encoder adds where no mask is given."""
        return features + self.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)

    def places(self, features: Tensor) -> Tensor:
        """(1, C, h, w): the positional encoding of each place of the features."""
        return self.prompt_encoder.pe_layer.grid(features.shape[-1])

    def _enlarged(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """(h, w) to (H, W) bool: enlarge to the square, cut the picture out of it, fit it to size."""
        height, width = scaled_size(*size, self.side_px)
        square = functional.interpolate(logits[None, None], (self.side_px, self.side_px), mode="bilinear")
        return functional.interpolate(square[..., :height, :width], size, mode="bilinear")[0, 0] > 0


class MobileSam(Sam):
    """Segment Anything with the small encoder of MobileSAM."""

    def __init__(self) -> None:
        super().__init__(TinyViT())

    def settle(self) -> None:
        """Make the encoder a third faster on a CPU; after loading, for inference."""
        for module in self.image_encoder.modules():
            if isinstance(module, ConvNorm):
                module.fuse()
        self.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack it


def scaled_size(height: int, width: int, side_px: int = SIDE_PX) -> tuple[int, int]:
    """Height and width once the longer side is `side_px`."""
    scale = side_px / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
