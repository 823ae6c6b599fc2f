"""From features and tokens to masks: a transformer that looks both ways, and a small network per mask.

Source: Kirillov et al., "Segment Anything", 2023, appendix A, "Lightweight mask decoder".
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.segmentation.tiny_vit import ChannelNorm

MASK_TOKENS: Final = 4
"""The first gives the mask for prompts that leave no doubt; the others whole, part and subpart."""


class Attention(nn.Module):
    """Attention with its own width inside, which may be smaller than outside."""

    def __init__(self, width: int, heads: int, inner_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, inner_width)
        self.k_proj = nn.Linear(width, inner_width)
        self.v_proj = nn.Linear(width, inner_width)
        self.out_proj = nn.Linear(inner_width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(N, Q, C), (N, K, C), (N, K, C) to (N, Q, C)."""
        q, k, v = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        )
        out: Tensor = self.out_proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class TokenMlp(nn.Module):
    """Two linear layers with a ReLU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(functional.relu(self.lin1(x)))
        return out


class TwoWayLayer(nn.Module):
    """Tokens look at each other, then at the picture; then the picture looks at the tokens."""

    def __init__(self, width: int, heads: int, hidden: int, *, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(width, heads, width)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, heads, width // 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TokenMlp(width, hidden)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, heads, width // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, token_places: Tensor, image_places: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.is_first:
            tokens = self.self_attn(tokens, tokens, tokens)  # the tokens are still their own places
        else:
            placed = tokens + token_places
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_image = image + image_places
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_places, placed_image, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(placed_image, tokens + token_places, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Layers as above and a last look of the tokens at the picture."""

    def __init__(self, width: int, heads: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(width, heads, hidden, is_first=number == 0) for number in range(depth))
        self.final_attn_token_to_image = Attention(width, heads, width // 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, image_places: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) tokens and (N, HW, C) features to the same."""
        places = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, places, image_places)
        seen = self.final_attn_token_to_image(tokens + places, image + image_places, image)
        return self.norm_final_attn(tokens + seen), image


class Perceptron(nn.Module):
    """Three linear layers with ReLUs between."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        out: Tensor = last(functional.relu(second(functional.relu(first(x)))))
        return out


class MaskDecoder(nn.Module):
    """Masks of one prompt, four candidates at a time, each with the overlap it expects with the truth."""

    def __init__(self, *, width: int = 256, heads: int = 8, hidden: int = 2048, depth: int = 2) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, heads, hidden, depth)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2), ChannelNorm(width // 4), nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2), nn.GELU(),
        )  # fmt: skip
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron(width, width // 8) for _ in range(MASK_TOKENS))
        self.iou_prediction_head = Perceptron(width, MASK_TOKENS)

    def forward(self, features: Tensor, places: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            features: (1, C, H, W), of the image encoder, with what the prompt encoder adds for "no mask given".
            places: (1, C, H, W), the positional encoding of each of those.
            prompt: (1, T, C).

        Returns:
            (4, 4 H, 4 W) logits, above 0 inside the object, and (4,) expected intersection over union.
        """
        tokens, enlarged = self.attended(self.own_tokens(), features, places, prompt)
        return self.masks(tokens, enlarged)

    def own_tokens(self) -> Tensor:
        """(1 + 4, C): one for the scores, one for each mask."""
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])

    def attended(self, own: Tensor, features: Tensor, places: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Let tokens and features look at each other.

        Args:
            own: (O, C), which come before those of the prompt.

        Returns:
            (1, O + T, C) tokens and (1, C / 8, 4 H, 4 W) features.
        """
        _, _, height, width = features.shape
        tokens = torch.cat([own[None], prompt], dim=1)
        tokens, image = self.transformer(tokens, features.flatten(2).transpose(1, 2), places.flatten(2).transpose(1, 2))
        return tokens, self.output_upscaling(image.transpose(1, 2).unflatten(2, (height, width)))

    def masks(self, tokens: Tensor, enlarged: Tensor) -> tuple[Tensor, Tensor]:
        """Of what `attended` gave, as `forward` returns them."""
        weights = torch.stack(
            [network(tokens[:, 1 + number]) for number, network in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        masks = (weights @ enlarged.flatten(2)).view(1, -1, *enlarged.shape[2:])
        return masks[0], self.iou_prediction_head(tokens[:, 0])[0]
