"""CLIP's tokenizer, made from the published list of merges: what all Stable Diffusion models read prompts with.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021; byte-level pair
encoding after Sennrich et al., 2016.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from engine.interface import EngineError
from engine.models.files import locate
from protocol.errors import ErrorCode

CARRIED: Final = "clip-bpe"
"""The model file of the catalogue that holds the merges."""
MAX_TOKENS: Final = 77
_MERGES: Final = 49152 - 256 - 2
"""The list goes on after these; CLIP was trained with so many."""
_START: Final = "<|startoftext|>"
_END: Final = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every token's number, and which pairs become one, the most frequent first."""

    numbers: dict[str, int]
    merges: list[tuple[str, str]]


def clip_tokenizer(models_dir: Path | None, *, pads_with_zeros: bool) -> Any:
    """A tokenizer of one's own: 49,408 tokens, 77 at a time. For the executor thread, like all tokenizers.

    Args:
        models_dir: where the merges lie.
        pads_with_zeros: fill up with token 0 (`!`), as OpenCLIP does, rather than with the end token.

    Raises:
        EngineError: `model_missing`, with the command that fetches the merges.
    """
    import transformers

    if models_dir is None:
        raise EngineError(ErrorCode.MODEL_MISSING, f"there is no models folder to take {CARRIED!r} from")
    vocabulary = read_vocabulary(locate(CARRIED, models_dir))
    pad = "!" if pads_with_zeros else _END
    # Its declared types leave out the form of merges that the tokenizer behind it takes.
    made: Any = transformers.CLIPTokenizer
    return made(vocab=vocabulary.numbers, merges=vocabulary.merges, pad_token=pad, model_max_length=MAX_TOKENS)


@cache
def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in the published file, read once per process.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
    """
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    merges = []
    for line in lines[1 : _MERGES + 1]:
        first, second = line.split()
        merges.append((first, second))
    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(first + second for first, second in merges)]
    words += [_START, _END]
    return Vocabulary({word: number for number, word in enumerate(words)}, merges)


def byte_letters() -> list[str]:
    """The letter that stands for each byte, in the order of the tokens: printable ones as they are, then the rest."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (byte for byte in range(256) if byte not in set(printable))
    return [chr(byte) for byte in printable] + [chr(256 + at) for at, _ in enumerate(others)]
