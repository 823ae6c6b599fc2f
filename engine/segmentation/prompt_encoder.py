"""Clicks and boxes as tokens for the mask decoder.

Source: Kirillov et al., "Segment Anything", 2023, appendix A; the positional encoding is that of Tancik et al.,
"Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains", 2020.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

from engine.segmentation.tiny_vit import ChannelNorm

_EXCLUDED, _INCLUDED, _TOP_LEFT, _BOTTOM_RIGHT = range(4)
_KINDS: Final = 4
_MASK_WIDTHS: Final = (4, 16)


class RandomFourier(nn.Module):
    """Places in the unit square as sines and cosines of random frequencies, drawn once in training."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, places: Tensor) -> Tensor:
        """(..., 2), x and y in [0, 1], to (..., width)."""
        angles = 2 * math.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, side: int) -> Tensor:
        """(1, width, side, side): the centres of a square grid."""
        centres = (torch.arange(side, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoded: Tensor = self(torch.stack([x, y], dim=-1))
        return encoded.permute(2, 0, 1)[None]


class PromptEncoder(nn.Module):
    """Prompts to tokens. What the published network has for masks as prompts is loaded, and not used.

    Args:
        width: of a token.
        side_px: of the square that coordinates refer to.
    """

    def __init__(self, *, width: int = 256, side_px: int = 1024) -> None:
        super().__init__()
        self.side_px = side_px
        self.pe_layer = RandomFourier(width)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(_KINDS))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.no_mask_embed = nn.Embedding(1, width)
        small, large = _MASK_WIDTHS
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, small, 2, 2), ChannelNorm(small), nn.GELU(),
            nn.Conv2d(small, large, 2, 2), ChannelNorm(large), nn.GELU(), nn.Conv2d(large, width, 1),
        )  # fmt: skip

    def forward(self, points: Tensor, is_included: Tensor, box: Tensor | None) -> Tensor:
        """Tokens of one prompt.

        Args:
            points: (P, 2), x and y in pixels of the network's square; P may be 0.
            is_included: (P,) bool.
            box: (4,), left, top, right, bottom; or None.

        Returns:
            (1, tokens, width).
        """
        included, excluded = self._kind(_INCLUDED), self._kind(_EXCLUDED)
        tokens = self._place(points) + torch.where(is_included[:, None], included, excluded)
        if box is None:
            # The network was trained with a filler wherever there is no box.
            tokens = torch.cat([tokens, self.not_a_point_embed.weight])
        else:
            corners = torch.cat([self._kind(_TOP_LEFT), self._kind(_BOTTOM_RIGHT)])
            tokens = torch.cat([tokens, self._place(box.view(2, 2)) + corners])
        return tokens[None]

    def _place(self, places: Tensor) -> Tensor:
        # Half a pixel: a coordinate names a pixel, the encoding its centre.
        encoded: Tensor = self.pe_layer((places + 0.5) / self.side_px)
        return encoded

    def _kind(self, kind: int) -> Tensor:
        embedding = self.point_embeddings[kind]
        assert isinstance(embedding, nn.Embedding)
        return embedding.weight
