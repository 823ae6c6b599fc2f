"""Captions say what the picture shows."""

import numpy as np
import pytest

from training.spark.captions import caption, held_out_prompts, vocabulary
from training.spark.scenes import Scene
from training.spark.words import BACKGROUND_SYNONYMS, BACKGROUNDS, COLOURS, NOUNS

MANY = 300
APPLE = next(number for number, noun in enumerate(NOUNS) if noun.name == "apple")
TANGERINE = next(number for number, noun in enumerate(NOUNS) if noun.name == "tangerine")


def captions(scene: Scene) -> list[str]:
    random = np.random.default_rng(5)
    return [caption(scene, random) for _ in range(MANY)]


@pytest.mark.parametrize("variant", range(1, 1 + len(COLOURS)))
def test_a_changed_colour_is_always_named(variant: int) -> None:
    colour = list(COLOURS)[variant - 1]
    assert all(f"{colour} apple" in text for text in captions(Scene(APPLE, variant, 0)))


def test_an_icon_in_its_own_colour_is_captioned_without_one() -> None:
    words = {word for text in captions(Scene(APPLE, 0, 0)) for word in text.split()}
    assert not words & set(COLOURS)


@pytest.mark.parametrize("background", range(1, len(BACKGROUNDS)))
def test_a_background_that_is_not_white_is_always_named(background: int) -> None:
    name = list(BACKGROUNDS)[background]
    known = {name, *BACKGROUND_SYNONYMS.get(name, ())}
    assert all(known & set(text.replace(",", "").split()) for text in captions(Scene(APPLE, 0, background)))


def test_white_is_named_now_and_then() -> None:
    named = sum("white" in text for text in captions(Scene(APPLE, 0, 0)))
    assert 0 < named < MANY / 2


def test_synonyms_appear_and_an_orange_is_never_called_by_a_colour() -> None:
    bare, coloured = captions(Scene(TANGERINE, 0, 0)), captions(Scene(TANGERINE, 1, 0))
    assert any("mandarin" in text for text in bare)
    assert any("orange" in text for text in bare)
    assert not any("orange" in text for text in coloured)


def test_captions_hold_only_known_words_and_a_few_that_nobody_knows() -> None:
    known = set(vocabulary())
    unknown = [set(text.replace(",", "").split()) - known for text in captions(Scene(APPLE, 2, 3))]
    strange = sum(bool(words) for words in unknown)
    assert 0 < strange < MANY * 0.15
    assert all(len(words) <= 1 for words in unknown)


def test_the_order_of_the_vocabulary_does_not_hang_on_which_nouns_are_trained() -> None:
    nouns = [name for noun in NOUNS for name in noun.names]
    words = vocabulary()
    places = [words.index(noun) for noun in sorted(nouns) if " " not in noun and noun not in {"orange"}]
    shared = {word for noun in nouns if " " in noun for word in noun.split()}
    own = [place for place in places if words[place] not in shared]
    assert own == sorted(own)


def test_prompts_of_pairs_kept_out_have_the_right_article() -> None:
    assert "an orange heart" in held_out_prompts()
    assert "a blue apple" in held_out_prompts()
