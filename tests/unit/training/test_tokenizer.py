"""The tokenizer: whole words for captions, bytes for the rest."""

from pathlib import Path

import numpy as np
import pytest

from training.spark import tokenizer
from training.spark.captions import caption, vocabulary
from training.spark.scenes import Scene
from training.spark.stock import CLIPTokenizer
from training.spark.words import BACKGROUNDS, COLOURS, NOUNS


def some_captions(count: int) -> list[str]:
    random = np.random.default_rng(7)
    return [
        caption(
            Scene(
                int(random.integers(len(NOUNS))),
                int(random.integers(1 + len(COLOURS))),
                int(random.integers(len(BACKGROUNDS))),
            ),
            random,
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("word", [*vocabulary(), ","])
def test_every_word_of_a_caption_is_one_token(word: str) -> None:
    vocab, merges = tokenizer.tables()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    assert tokenizer.merge([*word[:-1], word[-1] + "</w>"], ranks) == [word + "</w>"]
    assert word + "</w>" in vocab


def test_the_fast_lookup_agrees_with_the_real_tokenizer() -> None:
    texts = ["", *some_captions(2000)]
    real = tokenizer.build()(
        texts, padding="max_length", max_length=tokenizer.LENGTH, truncation=True, return_tensors="np"
    ).input_ids
    np.testing.assert_array_equal(tokenizer.encode(texts), real)


def test_no_caption_is_cut() -> None:
    end = tokenizer.tables()[0]["<|endoftext|>"]
    assert all(row[-1] == end and row[-2] == end for row in tokenizer.encode(some_captions(2000)))


@pytest.mark.parametrize("text", ["qwxz", "Ångström", "猫", "🍎", "naïve", "a1b2", "'s"])
def test_unknown_words_fall_to_their_bytes(text: str) -> None:
    real = tokenizer.build()
    ids = real(text).input_ids[1:-1]
    assert ids
    assert real.unk_token_id not in ids
    assert real.decode(ids).replace(" ", "") == text.lower()


def test_saved_in_both_forms_it_reads_the_same(tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    both = CLIPTokenizer.from_pretrained(tmp_path)
    assert both.model_max_length == tokenizer.LENGTH
    for name in ("tokenizer.json",):
        (tmp_path / name).unlink()
    old_form = CLIPTokenizer.from_pretrained(tmp_path)
    for text in some_captions(50):
        assert both(text).input_ids == old_form(text).input_ids == tokenizer.build()(text).input_ids
