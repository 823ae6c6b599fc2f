"""The words PowerPaint was taught, by which its folders and its text encoders are told from others of SD 1. No torch.

Each stands for one thing that may be done with a hole, and is several vectors: in the tokenizer's vocabulary they are
`WORD_0`, `WORD_1` and so on, or `WORD` alone.

Source: Zhuang et al., A Task is Worth One Word, 2023, and the published model's tokenizer.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class TaskWord(StrEnum):
    """A learned word."""

    CONTEXT = "P_ctxt"
    """What the surroundings suggest."""
    SHAPE = "P_shape"
    """Something of the mask's shape."""
    OBJECT = "P_obj"
    """The thing the prompt names."""


_MAX_BYTES: Final = 16 << 20
_PIECE: Final = re.compile(r"(?P<word>P_ctxt|P_shape|P_obj)(?:_(?P<number>\d{1,3}))?", re.ASCII)


def pieces_of(vocabulary: Iterable[str]) -> Mapping[TaskWord, tuple[str, ...]]:
    """The entries of a vocabulary that each learned word is made of, in order; words that have none are left out."""
    found: dict[TaskWord, dict[int, str]] = {}
    for entry in vocabulary:
        match = _PIECE.fullmatch(entry)
        if match is not None:
            found.setdefault(TaskWord(match["word"]), {})[int(match["number"] or -1)] = entry
    return {word: tuple(pieces[number] for number in sorted(pieces)) for word, pieces in found.items()}


def has_task_words(tokenizer: Path) -> bool:
    """Whether the tokenizer in this folder knows all of them. Never raises for what it finds there."""
    return any(pieces_of(added).keys() == set(TaskWord) for added in _added(tokenizer))


def _added(tokenizer: Path) -> Iterator[list[str]]:
    """What was added to the vocabulary, by each of the files that may tell; the largest last."""
    yield list(_read(tokenizer / "added_tokens.json"))
    decoder = _read(tokenizer / "tokenizer_config.json").get("added_tokens_decoder")
    if isinstance(decoder, dict):
        # All there is to tell was told.
        yield _contents(decoder.values())
        return
    told = _read(tokenizer / "tokenizer.json").get("added_tokens")
    yield _contents(told if isinstance(told, list) else ())


def _contents(entries: Iterable[object]) -> list[str]:
    return [str(entry["content"]) for entry in entries if isinstance(entry, dict) and "content" in entry]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}
        parsed = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # loading the model says what is wrong
        return {}
    return parsed if isinstance(parsed, dict) else {}
