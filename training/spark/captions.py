"""Captions of scenes, in as many ways as people ask for a picture."""

import numpy as np

from training.spark.scenes import Scene
from training.spark.words import (
    BACKGROUND_SYNONYMS,
    BACKGROUNDS,
    COLOURS,
    ENDINGS,
    FILLERS,
    NOUNS,
    OPENINGS,
)

_COLOURS = tuple(COLOURS)
_BACKGROUNDS = tuple(BACKGROUNDS)
_SYNONYM_SHARE = 0.35
_JUNK_SHARE = 0.06
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def caption(scene: Scene, random: np.random.Generator) -> str:
    """One caption of `scene`, lower case, at most 18 words and 30 tokens.

    The colour is always named when it is not the icon's own, and any background that is not white; the rest is
    chance: articles, synonyms, words that mean nothing to the picture, now and then a word nobody knows.
    """
    thing = describe(scene, random)
    chance = random.random()
    if chance < 0.5:
        text = _with_article(thing, random)
    elif chance < 0.7:
        text = thing
    elif chance < 0.82:
        text = f"{_with_article(_pick(OPENINGS, random), random)} of {_with_article(thing, random)}"
    else:
        text = f"{_pick(('one', 'the', 'my', 'this'), random)} {thing}"
    text += _background(_BACKGROUNDS[scene.background], random)
    if random.random() < 0.08:
        text += f", {_pick(ENDINGS, random)}"
    return text


def describe(scene: Scene, random: np.random.Generator) -> str:
    """The object alone: perhaps an adjective, its colour if it was given one, its name or a synonym."""
    noun = NOUNS[scene.noun]
    names = noun.names if scene.variant else noun.names + noun.bare_only
    name = names[0] if random.random() > _SYNONYM_SHARE else _pick(names, random)
    words = []
    if random.random() < 0.1:
        words.append(_pick(FILLERS, random))
    if random.random() < _JUNK_SHARE:
        words.append("".join(_pick(_LETTERS, random) for _ in range(int(random.integers(2, 7)))))
    if scene.variant:
        words.append(_COLOURS[scene.variant - 1])
    return " ".join([*words, name])


def vocabulary() -> list[str]:
    """Every word a caption may hold but the unknown ones, in an order that does not change when a noun is moved up."""
    texts = [
        "a an of one the my this on with in front background and",
        *COLOURS,
        *BACKGROUNDS,
        *(word for words in BACKGROUND_SYNONYMS.values() for word in words),
        *sorted(name for noun in NOUNS for name in noun.names + noun.bare_only),
        *FILLERS,
        *OPENINGS,
        *ENDINGS,
    ]
    return list(dict.fromkeys(word for text in texts for word in text.split()))


def _background(name: str, random: np.random.Generator) -> str:
    chance = random.random()
    if name == "white" and chance < 0.7:
        return ""
    if random.random() < 0.3 and name in BACKGROUND_SYNONYMS:
        name = _pick(BACKGROUND_SYNONYMS[name], random)
    chance = random.random()
    if chance < 0.7:
        return f" on {_article(name)} {name} background"
    if chance < 0.82:
        return f" on {name}"
    if chance < 0.94:
        return f", {name} background"
    return f" with {_article(name)} {name} background"


def _with_article(thing: str, random: np.random.Generator) -> str:
    # People forget the n.
    return f"{_article(thing) if random.random() < 0.9 else 'a'} {thing}"


def _article(thing: str) -> str:
    return "an" if thing[0] in "aeiou" else "a"


def _pick(choices: tuple[str, ...] | str, random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
