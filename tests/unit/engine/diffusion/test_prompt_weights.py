"""The weighting syntax of prompts."""

import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.prompt_weights import WEIGHT_LIMIT, WeightedText, parse_prompt

PLAIN = st.text(st.characters(exclude_characters="()[]\\")).filter(lambda text: "BREAK" not in text)
SYNTAX = st.lists(
    st.sampled_from(["(", ")", "[", "]", "\\", ":", "1.3", "-2", "99", "BREAK", "AND", "|", "cat", " ", ",", "nan"])
).map("".join)


def pieces(prompt: str) -> list[tuple[str, float]]:
    """Text and weight (rounded) of each piece; the prompt has to be one chunk."""
    (chunk,) = parse_prompt(prompt).chunks
    return [(piece.text, round(piece.weight, 6)) for piece in chunk]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("((red))", [("red", 1.21)]),
        ("[red]", [("red", 0.909091)]),
        ("[[red]]", [("red", 0.826446)]),
        ("(red:1.3) cat", [("red", 1.3), (" cat", 1.0)]),
        ("(red: 0.5 )", [("red", 0.5)]),
        ("(red:.5)", [("red", 0.5)]),
        ("(red:0)", [("red", 0.0)]),
        ("(red:-1)", [("red", -1.0)]),
        ("(a (b:2) c:1.5)", [("a ", 1.5), ("b", 3.0), (" c", 1.5)]),
        ("([a]:1.5)", [("a", 1.363636)]),
        ("[(a)]", [("a", 1.0)]),
        ("(16:9 photo:1.2)", [("16:9 photo", 1.2)]),
        ("(a:1.2)(b:1.2)", [("ab", 1.2)]),
        ("a(:1.3)b", [("ab", 1.0)]),
        ("(one (two (three:1.5):2.0))", [("one ", 1.1), ("two ", 2.2), ("three", 3.3)]),
    ],
)
def test_weights_are_read_as_users_type_them(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert pieces(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (r"a \(cat\)", "a (cat)"),
        (r"\[x\]", "[x]"),
        (r"a\\b", r"a\b"),
        (r"a \b \ c", r"a \b \ c"),
        (r"\(a:1.3\)", "(a:1.3)"),
        ("(a", "(a"),
        ("a)", "a)"),
        (")(", ")("),
        ("(a:1.3", "(a:1.3"),
        (":) :( :]", ":) :( :]"),
        ("<lora:style:0.8>", "<lora:style:0.8>"),
    ],
)
def test_escapes_and_brackets_without_a_partner_are_plain_text(prompt: str, text: str) -> None:
    assert pieces(prompt) == [(text, 1.0)]


def test_bracket_left_open_inside_a_group_does_not_spoil_the_group() -> None:
    assert pieces("([a)]") == [("[a", 1.1), ("]", 1.0)]
    assert pieces("(a [b) c") == [("a [b", 1.1), (" c", 1.0)]


def test_escaped_bracket_inside_a_group_belongs_to_its_text() -> None:
    assert pieces(r"(cat \(animal\):1.4)") == [("cat (animal)", 1.4)]


@pytest.mark.parametrize("said", ["10.5", "100", "-11", "nan", "inf", "1e3", "99999999999999999999", "1.2.3"])
def test_number_that_is_no_sensible_weight_is_text(said: str) -> None:
    assert pieces(f"(iso:{said})") == [(f"iso:{said}", 1.1)]


def test_products_stay_within_the_limit() -> None:
    assert pieces("(" * 400 + "a" + ")" * 400) == [("a", WEIGHT_LIMIT)]
    assert pieces("((a:9):-9)") == [("a", -WEIGHT_LIMIT)]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a cat BREAK a dog", ["a cat", "a dog"]),
        ("a\n BREAK \n b BREAK c", ["a", "b", "c"]),
        ("a,BREAK,b", ["a,", ",b"]),
        ("BREAK a BREAK BREAK b BREAK", ["a", "b"]),
        ("BREAKFAST and TEA-BREAK", ["BREAKFAST and TEA-BREAK"]),
        ("a break", ["a break"]),
        ("BREAK", [""]),
    ],
)
def test_break_on_its_own_begins_a_new_chunk(prompt: str, texts: list[str]) -> None:
    assert ["".join(piece.text for piece in chunk) for chunk in parse_prompt(prompt).chunks] == texts


def test_break_inside_a_group_keeps_the_weight_on_both_sides() -> None:
    assert parse_prompt("(a BREAK b:1.3)").chunks == ((WeightedText("a", 1.3),), (WeightedText("b", 1.3),))


@pytest.mark.parametrize("said", ["[cat:dog:0.5]", "[cat:10]", "[cat::0.5]", "[cat|dog]", "[a|b|c]", "[:dog:0.2]"])
def test_what_changes_with_the_steps_stays_as_text_and_is_reported(said: str) -> None:
    parsed = parse_prompt(f"a {said} on grass")
    assert parsed.text == f"a {said} on grass"
    assert parsed.ignored == (said,)
    assert not parsed.is_weighted


def test_weights_inside_what_changes_with_the_steps_still_count() -> None:
    assert pieces("[(red:1.2) cat:dog:0.5]") == [("[", 1.0), ("red", 1.2), (" cat:dog:0.5]", 1.0)]


def test_colon_without_a_number_and_a_bar_in_round_brackets_are_ordinary() -> None:
    assert parse_prompt("[cat:dog] (a|b)").ignored == ()
    assert parse_prompt("[(a|b)]").ignored == ()


def test_and_is_reported_once_and_only_as_a_word_of_its_own() -> None:
    assert parse_prompt("a cat AND a dog AND a cow").ignored == ("AND",)
    assert parse_prompt("SAND and BRAND, AND-gate").ignored == ()
    assert parse_prompt("a AND b").text == "a AND b"


def test_reports_are_short_and_few() -> None:
    parsed = parse_prompt(f"[{'x' * 500}:y:0.5]" + "".join(f"[a{number}:1]" for number in range(100)))
    assert len(parsed.ignored) <= 8
    assert max(map(len, parsed.ignored)) <= 40


def test_empty_prompt_is_one_empty_chunk() -> None:
    assert parse_prompt("").chunks == ((),)
    assert parse_prompt("()").chunks == ((),)


def test_text_without_weights_is_what_models_without_weighting_get() -> None:
    assert parse_prompt(r"a (red:1.4) \(big\) [cat] BREAK on grass").text == "a red (big) cat on grass"


@given(PLAIN)
def test_text_without_special_characters_comes_back_unchanged(text: str) -> None:
    parsed = parse_prompt(text)
    assert parsed.chunks == (((WeightedText(text, 1.0),) if text else ()),)
    assert not parsed.is_weighted


@given(SYNTAX | st.text())
def test_no_text_is_an_error_and_no_weight_beyond_the_limit(text: str) -> None:
    parsed = parse_prompt(text)
    assert parsed.chunks
    for chunk in parsed.chunks:
        assert all(piece.text and abs(piece.weight) <= WEIGHT_LIMIT for piece in chunk)
        assert all(one.weight != next_.weight for one, next_ in pairwise(chunk))


@given(st.text())
def test_escaped_text_is_plain_text(text: str) -> None:
    escaped = "".join(f"\\{char}" if char in "()[]\\" else char for char in text)
    parsed = parse_prompt(escaped)
    if "BREAK" not in text:
        assert "".join(piece.text for piece in parsed.chunks[0]) == text
    assert all(piece.weight == 1.0 for chunk in parsed.chunks for piece in chunk)


@given(st.lists(st.integers(50, 150), min_size=1, max_size=5))
def test_weights_of_nested_groups_multiply(hundredths: list[int]) -> None:
    weights = [each / 100 for each in hundredths]
    prompt = "(" * len(weights) + "cat" + "".join(f":{weight})" for weight in weights)
    expected = 1.0
    for weight in weights:
        expected *= weight
    ((piece,),) = parse_prompt(prompt).chunks
    assert piece.text == "cat"
    assert piece.weight == pytest.approx(expected)


@pytest.mark.parametrize(
    "prompt",
    ["(" * 50_000 + "a" + ")" * 50_000, "([" * 50_000 + ")" * 50_000, "[a:" * 50_000 + "1]" * 50_000, " " * 200_000],
    ids=["nested", "crossed", "steps", "blank"],
)
def test_hostile_prompt_takes_time_in_proportion_to_its_length(prompt: str) -> None:
    started = time.process_time()
    parse_prompt(prompt)
    assert time.process_time() - started < 5


def test_parser_needs_no_torch() -> None:
    code = "import sys; import engine.diffusion.prompt_source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
