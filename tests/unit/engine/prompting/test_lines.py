"""A prompt as lines, and lines as one text."""

import pytest

from engine.prompting.lines import joined, split_lines, tidy


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("a cat", "a cat"),
        ("  a   red\tcat ", "a red cat"),
        ("a cat, . ", "a cat"),
        (", .a cat", "a cat"),
        ("a.b, c", "a.b, c"),
        (" ,. ", ""),
    ],
)
def test_a_line_loses_runs_of_blanks_and_the_marks_at_its_ends(text: str, tidied: str) -> None:
    assert tidy(text) == tidied


def test_lines_that_say_nothing_are_left_out() -> None:
    assert split_lines("\n a cat.\r\n , \n\nin a hat\n") == ["a cat", "in a hat"]


def test_a_prompt_that_says_nothing_has_no_lines() -> None:
    assert split_lines(" \n,\n") == []


def test_texts_are_joined_with_one_comma_each() -> None:
    assert joined(["a cat,", "", " in a hat.", "at sea"]) == "a cat, in a hat, at sea"


def test_joining_one_text_keeps_how_it_begins() -> None:
    assert joined([". . . dots"]) == ". . . dots"
