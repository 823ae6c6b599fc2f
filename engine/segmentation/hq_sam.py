"""HQ-SAM: Segment Anything with one more token, whose mask is drawn on finer features of the encoder.

Source: Ke et al., "Segment Anything in High Quality", 2023.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.segmentation.mask_decoder import MaskDecoder, Perceptron
from engine.segmentation.prompt_encoder import PromptEncoder
from engine.segmentation.sam import Sam
from engine.segmentation.tiny_vit import ChannelNorm
from engine.segmentation.vit import VitEncoder


@dataclass(frozen=True, slots=True, eq=False)
class HqEmbedding:
    """A picture as HQ-SAM keeps it.

    Attributes:
        features: (1, C, h, w), as Segment Anything has them.
        fine: (1, C / 8, 4 h, 4 w): those, with what an early block of the encoder saw.
    """

    features: Tensor
    fine: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _OnTheWay:
    """(1, h, w, C) between two blocks; and after the first one that looks at everything, what it gave."""

    x: Tensor
    early: Tensor | None = None


class HqMaskDecoder(MaskDecoder):
    """The decoder with one more token.

    Args:
        vit_width: channels of the image encoder's blocks.
    """

    def __init__(self, *, vit_width: int, width: int = 256, heads: int = 8, hidden: int = 2048, depth: int = 2) -> None:
        super().__init__(width=width, heads=heads, hidden=hidden, depth=depth)
        fine = width // 8
        self.hf_token = nn.Embedding(1, width)
        self.hf_mlp = Perceptron(width, fine)
        self.compress_vit_feat = _enlarging(vit_width, width, fine)
        self.embedding_encoder = _enlarging(width, width // 4, fine)
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(fine, width // 4, 3, padding=1), ChannelNorm(width // 4), nn.GELU(),
            nn.Conv2d(width // 4, fine, 3, padding=1),
        )  # fmt: skip

    def fine_features(self, features: Tensor, early: Tensor) -> Tensor:
        """(1, C, h, w) features and (1, h, w, vit) of an early block to (1, C / 8, 4 h, 4 w)."""
        fine: Tensor = self.embedding_encoder(features) + self.compress_vit_feat(early.permute(0, 3, 1, 2))
        return fine

    def refined(self, features: Tensor, fine: Tensor, places: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward` of the plain decoder, with the mask of the added token added to each candidate.

        Args:
            fine: of `fine_features`.
        """
        tokens, enlarged = self.attended(torch.cat([self.own_tokens(), self.hf_token.weight]), features, places, prompt)
        masks, scores = self.masks(tokens, enlarged)
        on = self.embedding_maskfeature(enlarged) + fine
        added = self.hf_mlp(tokens[:, len(self.own_tokens())])[:, None] @ on.flatten(2)
        return masks + added.view(1, 1, *on.shape[2:])[0], scores


class HqSam(Sam):
    """The networks under the names of the published files."""

    def __init__(
        self, image_encoder: VitEncoder, mask_decoder: HqMaskDecoder, *, prompt_encoder: PromptEncoder | None = None
    ) -> None:
        super().__init__(image_encoder, mask_decoder, prompt_encoder=prompt_encoder)
        self._first_global = min(image_encoder.size.global_blocks)

    def encoder_pieces(self) -> list[Callable[[Any], Any]]:
        """As of the encoder; the last one makes an `HqEmbedding`."""
        begin, *blocks, end = super().encoder_pieces()

        def passed(block: Callable[[Tensor], Tensor], number: int) -> Callable[[_OnTheWay], _OnTheWay]:
            def run(on_the_way: _OnTheWay) -> _OnTheWay:
                x = block(on_the_way.x)
                return _OnTheWay(x, x if number == self._first_global else on_the_way.early)

            return run

        def finish(on_the_way: _OnTheWay) -> HqEmbedding:
            assert on_the_way.early is not None
            features = end(on_the_way.x)
            return HqEmbedding(features, self._decoder.fine_features(features, on_the_way.early))

        return [
            lambda pixels: _OnTheWay(begin(pixels)),
            *(passed(block, number) for number, block in enumerate(blocks)),
            finish,
        ]

    def candidates(self, embedding: HqEmbedding, prompt: Tensor) -> tuple[Tensor, Tensor]:
        features = embedding.features
        return self._decoder.refined(self.with_no_mask(features), embedding.fine, self.places(features), prompt)

    @property
    def _decoder(self) -> HqMaskDecoder:
        assert isinstance(self.mask_decoder, HqMaskDecoder)
        return self.mask_decoder


def _enlarging(inputs: int, between: int, outputs: int) -> nn.Sequential:
    """(N, inputs, h, w) to (N, outputs, 4 h, 4 w)."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, between, 2, 2), ChannelNorm(between), nn.GELU(),
        nn.ConvTranspose2d(between, outputs, 2, 2),
    )  # fmt: skip
