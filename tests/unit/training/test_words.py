"""The words spark is trained on."""

import re

from training.spark.words import BACKGROUNDS, COLOURS, HELD_OUT, NOUNS, OWN_COLOUR_ONLY


def test_there_are_enough_nouns_colours_and_backgrounds() -> None:
    assert len(NOUNS) >= 200
    assert len(COLOURS) == 7
    assert len(BACKGROUNDS) == 10


def test_every_name_and_every_icon_belongs_to_one_noun() -> None:
    names = [name for noun in NOUNS for name in noun.names + noun.bare_only]
    icons = [noun.icon for noun in NOUNS]
    assert len(names) == len(set(names))
    assert len(icons) == len(set(icons))


def test_names_are_lower_case_words_of_letters() -> None:
    for noun in NOUNS:
        for name in noun.names + noun.bare_only:
            assert re.fullmatch(r"[a-z]+( [a-z]+)*", name), name


def test_thirty_different_pairs_of_known_words_are_kept_out() -> None:
    names = {noun.name for noun in NOUNS} - OWN_COLOUR_ONLY
    assert len(set(HELD_OUT)) == 30
    for colour, name in HELD_OUT:
        assert colour in COLOURS
        assert name in names


def test_no_noun_loses_more_than_one_colour() -> None:
    nouns = [name for _, name in HELD_OUT]
    assert len(nouns) == len(set(nouns))
