"""A folder in the format BLIP is published in: a small network of random weights, and a tokenizer of few words."""

from pathlib import Path
from typing import Any, Final

import torch
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration

from tests.tiny_models import seeded

SIDE_PX: Final = 32
WORDS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "red", "hat", "##s", "with")
_WIDTH: Final = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def save_captioner(folder: Path) -> Path:
    """The file of its weights."""
    start = len(WORDS)  # as published: the token that captions begin with is not among the tokenizer's words
    text = {"vocab_size": start + 2, "encoder_hidden_size": 16, "projection_dim": 8, "max_position_embeddings": 96}
    tokens = {"bos_token_id": start, "eos_token_id": 2, "sep_token_id": 3, "pad_token_id": 0}
    vision = {**_WIDTH, "image_size": SIDE_PX, "patch_size": 8}
    config = BlipConfig(text_config={**_WIDTH, **text, **tokens}, vision_config=vision, projection_dim=8)
    with seeded(6):
        network: Any = BlipForConditionalGeneration(config)
    # What it is shown has to count beside what the weights say anyway.
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if "crossattention" in name:
                weights.mul_(20)
    network.save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder / "model.safetensors"
