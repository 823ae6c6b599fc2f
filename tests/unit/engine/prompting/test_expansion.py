"""Words of quality: drawn by a seed, from lists of our own."""

import json

from engine.prompting.expansion import WORDS_FILE, WORDS_PER_GROUP, expanded, quality_words

GROUPS = json.loads(WORDS_FILE.read_text("utf-8"))


def test_the_same_seed_gives_the_same_words_and_another_gives_others() -> None:
    assert quality_words(5) == quality_words(5)
    assert len({quality_words(seed) for seed in range(20)}) == 20


def test_seeds_beyond_32_bits_are_counted_round() -> None:
    assert quality_words(2**32 + 5) == quality_words(5)


def test_there_are_some_of_every_group_and_none_twice() -> None:
    for seed in range(20):
        words = quality_words(seed).split(", ")
        assert len(set(words)) == len(words) == WORDS_PER_GROUP * len(GROUPS)
        for group in GROUPS.values():
            assert len(set(words) & set(group)) == WORDS_PER_GROUP


def test_what_the_prompt_says_is_not_said_again() -> None:
    prompt = "A cat in Soft Light, serene"
    assert all("soft light" not in quality_words(seed, beside=prompt) for seed in range(60))
    assert any("soft light" in quality_words(seed) for seed in range(60))


def test_the_expansion_is_the_prompt_with_the_words_behind_it() -> None:
    assert expanded("a cat", 3) == f"a cat, {quality_words(3)}"


def test_no_word_of_the_lists_stands_there_twice() -> None:
    words = [word for group in GROUPS.values() for word in group]
    assert len(set(words)) == len(words)


def test_all_of_them_fit_into_one_chunk_of_a_text_encoder_beside_a_short_prompt() -> None:
    longest = max(len(quality_words(seed).replace(",", " ,").split()) for seed in range(200))
    assert longest <= 60
