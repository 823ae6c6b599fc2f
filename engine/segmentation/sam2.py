"""SAM 2 on single pictures: transformers' network, its encoder cut into pieces.

Source: Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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


@dataclass(frozen=True, slots=True, eq=False)
class Sam2Embedding:
    """A picture as SAM 2 keeps it.

    Attributes:
        features: (1, C, s / 16, s / 16) of a square of s pixels.
        finer: (1, C / 8, s / 4, s / 4) and (1, C / 4, s / 8, s / 8), which masks are drawn with.
    """

    features: Tensor
    finer: list[Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class _OnTheWay:
    """(1, h, w, C) between two blocks, and what each finished stage gave."""

    x: Tensor
    stages: tuple[Tensor, ...] = ()


class Sam2:
    """Implements `engine.segmentation.segmenter.Segmenter`.

    Args:
        network: a `transformers.Sam2Model`, for inference.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        # Which candidate is best is for `ranked` to say; so the decoder gives the one for clear prompts as it is.
        network.mask_decoder.dynamic_multimask_via_stability = False
        self._side_px: int = network.prompt_encoder.input_image_size

    @property
    def device(self) -> torch.device:
        device: torch.device = self._network.device
        return device

    def prepare(self, rgb: NDArray[np.float32]) -> Tensor:
        """(H, W, 3) in [0, 1] to (1, 3, side, side): the picture fills the square, whatever its shape."""
        return normalised(rgb, (self._side_px, self._side_px)).to(self.device)

    def encoder_pieces(self) -> list[Callable[[Any], Any]]:
        """A piece per block between the first and the last, which makes a `Sam2Embedding`."""
        trunk = self._network.vision_encoder.backbone

        def passed(block: Callable[[Tensor], Tensor], *, ends_stage: bool) -> Callable[[_OnTheWay], _OnTheWay]:
            def run(on_the_way: _OnTheWay) -> _OnTheWay:
                x = block(on_the_way.x)
                return _OnTheWay(x, (*on_the_way.stages, x) if ends_stage else on_the_way.stages)

            return run

        return [
            self._begin,
            *(passed(block, ends_stage=number in trunk.stage_ends) for number, block in enumerate(trunk.blocks)),
            self._finish,
        ]

    def decode(
        self, embedding: Embedding, size: tuple[int, int], clicks: Sequence[Click], box: Edges | None, count: int
    ) -> list[SegmentedMask]:
        height, width = size
        scale = torch.tensor([self._side_px / width, self._side_px / height], device=self.device)
        points, is_included = clicked(clicks, self.device)
        points = points * scale
        edges = None if box is None else corners(box, self.device) * scale.repeat(2)
        prompt = self._prompt(points, is_included, edges)
        logits, scores = self._candidates(embedding, prompt, is_several=True)
        if not is_ambiguous(clicks, box):
            clear_logits, clear_scores = self._candidates(embedding, prompt, is_several=False)
            logits, scores = torch.cat([clear_logits, logits]), torch.cat([clear_scores, scores])
        expected: list[float] = scores.tolist()
        order = ranked(logits, expected, points * (logits.shape[-1] / self._side_px), is_included)
        return [SegmentedMask(_enlarged(logits[place], size).cpu().numpy(), expected[place]) for place in order[:count]]

    def _begin(self, pixels: Tensor) -> _OnTheWay:
        trunk = self._network.vision_encoder.backbone
        x: Tensor = trunk.patch_embed(pixels)
        # Places in the picture, enlarged to its raster; and places in the windows of the first stage, repeated over it.
        places = functional.interpolate(trunk.pos_embed, x.shape[1:3], mode="bicubic")
        side = trunk.pos_embed_window.shape[-1]
        places = places + trunk.pos_embed_window.tile(1, 1, x.shape[1] // side, x.shape[2] // side)
        return _OnTheWay(x + places.permute(0, 2, 3, 1))

    def _finish(self, on_the_way: _OnTheWay) -> Sam2Embedding:
        encoder, decoder = self._network.vision_encoder, self._network.mask_decoder
        levels, _ = encoder.neck(on_the_way.stages)
        coarse, middle, fine = levels[-encoder.num_feature_levels :]
        # On a picture that is no frame of a video, nothing is remembered of earlier ones.
        features = coarse + self._network.no_memory_embedding.view(1, -1, 1, 1)
        return Sam2Embedding(features, [decoder.conv_s0(fine), decoder.conv_s1(middle)])

    def _prompt(self, points: Tensor, is_included: Tensor, box: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the prompt says: (1, 1, T, C), and (1, C, h, w) for "no mask given"."""
        has_points = len(points) > 0
        sparse, dense = self._network.prompt_encoder(
            input_points=points[None, None] if has_points else None,
            input_labels=is_included.int()[None, None] if has_points else None,
            input_boxes=None if box is None else box[None, None],
            input_masks=None,
        )
        return sparse, dense

    def _candidates(
        self, embedding: Sam2Embedding, prompt: tuple[Tensor, Tensor], *, is_several: bool
    ) -> tuple[Tensor, Tensor]:
        """(K, h, w) logits and (K,) expected overlaps: three for what may be meant, or the one for clear prompts."""
        sparse, dense = prompt
        logits, scores, *_ = self._network.mask_decoder(
            image_embeddings=embedding.features,
            image_positional_embeddings=self._network.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=is_several,
            high_resolution_features=embedding.finer,
        )
        return logits[0, 0], scores[0, 0]


def _enlarged(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) to (H, W) bool."""
    return functional.interpolate(logits[None, None], size, mode="bilinear")[0, 0] > 0
