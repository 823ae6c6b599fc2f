"""Models of the real sizes with random weights, as diffusers folders: what they draw is noise, what they cost is real.

From the configurations in `engine/diffusion/configs` and a seed; nothing is downloaded.
"""

import json
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import torch

from engine.diffusion.families import CONFIGS
from engine.diffusion.folders import INDEX, Part, class_of, read_index
from engine.library.records import Family

_START, _END = 49406, 49407
"""The numbers the text encoders know the special tokens by."""
_TOKENS: Final = 77
_SEED: Final = 0


class Size(StrEnum):
    """Which of the configuration folders."""

    SD1 = "sd1"
    SDXL = "sdxl"


_NARROW: Final[Mapping[str, Mapping[str, Any]]] = {
    "unet": {"layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 2},
    "vae": {"block_out_channels": [8, 8, 16, 16], "layers_per_block": 1, "norm_num_groups": 4},
    "text_encoder": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    "text_encoder_2": {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
}
"""For a rehearsal: the same layers, a few channels wide."""
_NARROW_UNETS: Final[Mapping[Size, Mapping[str, Any]]] = {
    Size.SD1: {"block_out_channels": [8, 8, 16, 16], "cross_attention_dim": 16},
    Size.SDXL: {
        "block_out_channels": [8, 16, 16],
        "cross_attention_dim": 40,
        "transformer_layers_per_block": 1,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 24 + 6 * 8,
    },
}


def write_model(
    size: Size, folder: Path, *, device: torch.device, dtype: torch.dtype = torch.float16, tiny: bool = False
) -> None:
    """Write a model with weights from a seed.

    Args:
        device: where the weights are drawn; a GPU takes seconds for SDXL's, a CPU a minute.
        tiny: a few channels wide instead of the real widths.
    """
    config = CONFIGS / size.value
    folder.mkdir(parents=True)
    shutil.copyfile(config / INDEX, folder / INDEX)
    for part in read_index(config, Family(size.value)).parts:
        place = folder / part.name
        if part.name.startswith("tokenizer"):
            _tokenizer("!" if part.name.endswith("_2") else "<|endoftext|>").save_pretrained(place)
        elif part.name == "scheduler":
            shutil.copytree(config / part.name, place)
        else:
            lines = json.loads((config / part.name / "config.json").read_bytes())
            if tiny:
                lines |= {**_NARROW[part.name], **(_NARROW_UNETS[size] if part.name == "unet" else {})}
                if part.name.startswith("text_encoder"):
                    lines["projection_dim"] = lines["hidden_size"]
            _module(part, lines, device).to(dtype).save_pretrained(place)


def _module(part: Part, config: Mapping[str, Any], device: torch.device) -> Any:
    found = class_of(part)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device, torch.no_grad():
        torch.manual_seed(_SEED)
        if part.library == "diffusers":
            return found.from_config(config)
        return found(found.config_class(**config))


def _tokenizer(pad_token: str) -> Any:
    """A tokenizer with CLIP's numbers for the special tokens, and bytes for words."""
    from transformers import CLIPTokenizer

    from engine.diffusion.tokenizers import byte_letters

    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += [f"<|unused-{number}|>" for number in range(len(words), _START)]
    numbers = {word: number for number, word in enumerate(words)} | {"<|startoftext|>": _START, "<|endoftext|>": _END}
    made: Any = CLIPTokenizer
    return made(vocab=numbers, merges=[], pad_token=pad_token, model_max_length=_TOKENS)
