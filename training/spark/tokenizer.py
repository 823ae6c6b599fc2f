"""A CLIP tokenizer with a vocabulary of our own: every caption word is one token, anything else falls to its bytes."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.spark.captions import vocabulary
from training.spark.stock import CLIPTokenizer

LENGTH = 32
"""Tokens of a prompt, with its start and end; padded with the end token as Stable Diffusion does."""
_START, _END = "<|startoftext|>", "<|endoftext|>"


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte 0..255.

    Source: byte-level BPE, Radford et al. 2019: printable Latin-1 stands for itself, the rest is shifted past 255.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters, shifted = [], 256
    for byte in range(256):
        if byte in printable:
            letters.append(chr(byte))
        else:
            letters.append(chr(shifted))
            shifted += 1
    return letters


def merge(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Apply byte-pair merges to the pieces of one word: always the pair of the lowest rank, leftmost first."""
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        joined, position = [], 0
        while position < len(pieces):
            if tuple(pieces[position : position + 2]) == best:
                joined.append("".join(best))
                position += 2
            else:
                joined.append(pieces[position])
                position += 1
        pieces = joined
    return pieces


@cache
def tables() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges under which each word of `vocabulary()` is one token.

    Words are added one by one: what the merges so far make of a word is joined by new merges of lower priority. Those
    cannot undo an earlier word, since all its merges are chosen before them.
    """
    tokens = _byte_letters()
    tokens += [letter + "</w>" for letter in tokens]
    known = set(tokens)
    ranks: dict[tuple[str, str], int] = {}
    for word in vocabulary():
        pieces = merge([*word[:-1], word[-1] + "</w>"], ranks)
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            ranks[pair] = len(ranks)
            if "".join(pair) not in known:
                known.add("".join(pair))
                tokens.append("".join(pair))
            pieces = merge([*word[:-1], word[-1] + "</w>"], ranks)
    tokens += [_START, _END]
    return {token: number for number, token in enumerate(tokens)}, list(ranks)


def build() -> Any:
    """The tokenizer, as Stable Diffusion pipelines take it."""
    vocab, merges = tables()
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=LENGTH)


def save(folder: Path) -> None:
    """Write the tokenizer to `folder` in both forms: vocab.json with merges.txt, and tokenizer.json."""
    build().save_pretrained(folder)
    vocab, merges = tables()
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")


def encode(captions: list[str]) -> npt.NDArray[np.int64]:
    """Captions to (N, LENGTH) token ids, equal to what `build()` gives for them; words are looked up, which is fast.

    A caption that is too long is cut as the tokenizer cuts it: the end token stays.
    """
    vocab, _ = tables()
    ids = np.full((len(captions), LENGTH), vocab[_END], np.int64)
    ids[:, 0] = vocab[_START]
    for row, text in zip(ids, captions, strict=True):
        words = [token for word in text.replace(",", " ,").split() for token in _word_ids(word)][: LENGTH - 2]
        row[1 : 1 + len(words)] = words
    return ids


@cache
def _ranks() -> dict[tuple[str, str], int]:
    return {pair: rank for rank, pair in enumerate(tables()[1])}


def _word_ids(word: str) -> list[int]:
    vocab, _ = tables()
    whole = vocab.get(word + "</w>")
    if whole is not None:
        return [whole]
    return [vocab[piece] for piece in merge([*word[:-1], word[-1] + "</w>"], _ranks())]
