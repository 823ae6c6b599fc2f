"""A folder in the format Grounding DINO is published in: a small network of random weights, and a few words."""

from pathlib import Path
from typing import Any, Final

import torch
from transformers import BertConfig, BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

from tests.tiny_models import seeded

# The network knows the signs between names by their numbers in BERT's vocabulary.
_KNOWN: Final = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
_FREE: Final = ("face", "hand", "eye", "##s", "red", "hat", "a")
_WIDTH: Final = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def vocabulary() -> dict[str, int]:
    """Word -> number."""
    words = {word: number for number, word in _KNOWN.items()}
    words |= {word: 1030 + number for number, word in enumerate(_FREE)}
    taken = set(words.values())
    return words | {f"[unused{number}]": number for number in range(1030 + len(_FREE)) if number not in taken}


def save_detector(folder: Path) -> Path:
    """The file of its weights."""
    eyes = SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4, out_indices=[2, 3, 4]
    )
    words = BertConfig(vocab_size=len(vocabulary()), max_position_embeddings=128, **_WIDTH)
    config = GroundingDinoConfig(
        backbone_config=eyes,
        text_config=words,
        num_queries=12,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        d_model=32,
        max_text_len=64,
    )
    with seeded(8):
        network: Any = GroundingDinoForObjectDetection(config)
        # As they are made, no layer has an effect on its neighbours.
        with torch.no_grad():
            for weights in network.parameters():
                if weights.dim() > 1:
                    weights.copy_(torch.randn_like(weights) * 0.3)
    network.save_pretrained(folder)
    BertTokenizer(vocab=vocabulary()).save_pretrained(folder)
    return folder / "model.safetensors"
