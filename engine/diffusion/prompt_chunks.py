"""A prompt as CLIP's text encoder takes it: chunks of token ids, each as long as it reads. Imports no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

MAX_CHUNKS: Final = 32
"""Of one prompt: 2400 tokens. Every one makes each denoising step of the job slower."""
_WORD_END: Final = "</w>"


class Tokenizer(Protocol):
    """What is used of a CLIP tokenizer of transformers. On the executor thread only: it keeps state between calls."""

    model_max_length: int
    bos_token_id: int
    eos_token_id: int
    pad_token_id: int

    def __call__(
        self, text: str, *, add_special_tokens: bool, truncation: bool, padding: bool, verbose: bool
    ) -> Mapping[str, Any]: ...

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Word:
    """Tokens that belong together: a word of the prompt, or the vectors of one embedding (ids below 0)."""

    ids: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one forward of the text encoder reads.

    Attributes:
        ids, weights: one of each per position: the start token, the text, the end token, padding.
        used: positions before the padding.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    used: int

    @property
    def is_weighted(self) -> bool:
        return any(weight != 1.0 for weight in self.weights)


def read_words(text: str, tokenizer: Tokenizer, weight: float) -> Iterator[Word]:
    """The words of a text; joined, their ids are what the tokenizer makes of it without start and end tokens."""
    given = tokenizer(text, add_special_tokens=False, truncation=False, padding=False, verbose=False)
    ids: list[int] = list(given["input_ids"])
    word: list[int] = []
    for token_id, token in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        word.append(token_id)
        if token.endswith(_WORD_END):
            yield Word(tuple(word), weight)
            word = []
    if word:
        yield Word(tuple(word), weight)


@dataclass(frozen=True, slots=True)
class Chunks:
    """A whole prompt, at least one chunk; `is_truncated` if there were more than `MAX_CHUNKS`."""

    chunks: tuple[Chunk, ...]
    is_truncated: bool


def fill_chunks(sections: Sequence[Sequence[Word]], tokenizer: Tokenizer, length: int) -> Chunks:
    """Lay words out in chunks: a new one for each section, and where the next word no longer fits.

    A word is cut only if it is longer than a chunk.

    Args:
        length: positions of a chunk, start and end tokens among them; at least 3.
    """
    room = length - 2
    texts: list[list[Word]] = []
    for section in sections or [[]]:
        texts.append([])
        left = room
        for word in section:
            if len(word.ids) > left and left < room:
                texts.append([])
                left = room
            for start in range(0, len(word.ids), room):
                if start:
                    texts.append([])
                    left = room
                part = word.ids[start : start + room]
                texts[-1].append(Word(part, word.weight))
                left -= len(part)
    chunks = tuple(_chunk(words, tokenizer, length) for words in texts[:MAX_CHUNKS])
    return Chunks(chunks, is_truncated=len(texts) > MAX_CHUNKS)


def _chunk(words: Sequence[Word], tokenizer: Tokenizer, length: int) -> Chunk:
    ids = [tokenizer.bos_token_id]
    weights = [1.0]
    for word in words:
        ids.extend(word.ids)
        weights.extend([word.weight] * len(word.ids))
    ids.append(tokenizer.eos_token_id)
    used = len(ids)
    ids.extend([tokenizer.pad_token_id] * (length - used))
    weights.extend([1.0] * (length - len(weights)))
    return Chunk(tuple(ids), tuple(weights), used)
