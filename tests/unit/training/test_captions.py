"""Captions say what the picture shows."""

import numpy as np
import pytest

from training.spark.captions import caption, vocabulary
from training.spark.scenes import Scene
from training.spark.words import BACKGROUND_SYNONYMS, BACKGROUNDS, COLOURS, NOUNS, Noun

MANY = 300
APPLE = next(number for number, noun in enumerate(NOUNS) if noun.name == "apple")
EARTH = next(number for number, noun in enumerate(NOUNS) if noun.name == "earth")


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


def test_synonyms_appear_now_and_then() -> None:
    texts = captions(Scene(EARTH, 0, 0))
    assert any("globe" in text for text in texts)
    assert sum("earth" in text for text in texts) > MANY / 2


def test_an_orange_is_never_called_by_a_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.spark.captions.NOUNS", (Noun("tangerine", ("tangerine",), ("orange",)),))
    assert any("orange" in text for text in captions(Scene(0, 0, 0)))
    assert not any("orange" in text for text in captions(Scene(0, 1, 0)))


def test_captions_hold_only_known_words_and_a_few_that_nobody_knows() -> None:
    known = set(vocabulary())
    unknown = [set(text.replace(",", "").split()) - known for text in captions(Scene(APPLE, 2, 3))]
    strange = sum(bool(words) for words in unknown)
    assert 0 < strange < MANY * 0.15
    assert all(len(words) <= 1 for words in unknown)


def test_an_stands_before_vowels_alone_and_is_sometimes_forgotten() -> None:
    orange, blue = (1 + list(COLOURS).index(colour) for colour in ("orange", "blue"))
    texts = " ".join(captions(Scene(APPLE, orange, 0)))
    assert texts.count("an orange apple") > texts.count("a orange apple") > 0
    assert " an blue apple" not in " ".join(["", *captions(Scene(APPLE, blue, 0))])
