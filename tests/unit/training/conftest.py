"""Sprites without icons, and a generator small enough to be trained inside a test."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from training.spark import tokenizer, unet, vae
from training.spark.sprites import SPRITE_PX, Sprites
from training.spark.stock import AutoencoderKL, CLIPTextConfig, CLIPTextModel, UNet2DConditionModel
from training.spark.words import COLOURS, NOUNS


@pytest.fixture(autouse=True)
def _gradients() -> Iterator[None]:
    """Training needs them, and tests of the engine before these may have left them off."""
    with torch.enable_grad():
        yield


@pytest.fixture(scope="session")
def sprites() -> Sprites:
    """A square per noun: grey in its own colour, else in the colour asked for. The last noun has one colour only."""
    pixels = np.zeros((len(NOUNS), 1 + len(COLOURS), SPRITE_PX, SPRITE_PX, 4), np.uint8)
    for variant, rgb in enumerate([(120, 120, 120), *COLOURS.values()]):
        pixels[:, variant, 10:-10, 10:-10] = (*rgb, 255)
    recolourable = np.ones(len(NOUNS), bool)
    recolourable[-1] = False
    pixels[-1, 1:] = 0
    return Sprites(pixels, recolourable)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every architecture of the same classes, with the fewest weights."""
    torch.set_num_threads(1)

    def build_vae() -> Any:
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(4, 4, 4),
            norm_num_groups=2,
            latent_channels=4,
            sample_size=64,
            mid_block_add_attention=False,
            scaling_factor=1.0,
        )

    def build_unet() -> torch.nn.ModuleDict:
        vocab, _ = tokenizer.tables()
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(vocab),
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=tokenizer.LENGTH,
            )
        )
        denoiser = UNet2DConditionModel(
            sample_size=16,
            layers_per_block=1,
            block_out_channels=(4, 8),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=8,
            attention_head_dim=2,
            norm_num_groups=2,
        )
        return torch.nn.ModuleDict({"text_encoder": text, "unet": denoiser})

    monkeypatch.setattr(vae, "build", build_vae)
    monkeypatch.setattr("training.spark.latents.build", build_vae)
    monkeypatch.setattr(unet, "build", build_unet)
    monkeypatch.setattr(vae, "BATCH", 4)
    monkeypatch.setattr(unet, "BATCH", 4)
    monkeypatch.setattr(vae, "measure_db", lambda *_: 0.0)
