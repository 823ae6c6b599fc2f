"""Wildcards: which line stands for a name."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from engine.prompting.wildcards import MAX_CHARACTERS, MAX_ROUNDS, PACKAGED_DIR, Wildcards, fill_wildcards

PACKAGED = ("animal", "artist", "color", "color_flower", "extended-color", "flower", "nationality")
Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def put(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    return put


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def fill(tmp_path: Path, told: list[tuple[str, str]]) -> Callable[..., str]:
    def fill(text: str, seed: int = 0, at: int | None = None) -> str:
        def warn(code: str, message: str) -> None:
            told.append((code, message))

        return fill_wildcards(text, Wildcards([tmp_path]), Random(seed), at=at, warn=warn)

    return fill


def test_a_name_becomes_one_of_its_lines_and_every_line_is_drawn_by_some_seed(put: Put, fill, told) -> None:
    put("hue.txt", "red\n\n  green \nblue\n")
    assert {fill("a __hue__ ball", seed) for seed in range(40)} == {"a red ball", "a green ball", "a blue ball"}
    assert told == []


def test_the_same_seed_draws_the_same_lines(put: Put, fill) -> None:
    put("hue.txt", "\n".join(map(str, range(50))))
    text = "__hue__ __hue__ __hue__"
    assert fill(text, 7) == fill(text, 7) != fill(text, 8)


def test_two_wildcards_of_one_name_are_drawn_one_by_one(put: Put, fill) -> None:
    put("hue.txt", "\n".join(map(str, range(1000))))
    first, second = fill("__hue__ __hue__").split()
    assert first != second


def test_in_order_image_i_gets_line_i_counted_round(put: Put, fill) -> None:
    put("hue.txt", "red\ngreen\nblue\n")
    assert [fill("__hue__", at=at) for at in range(4)] == ["red", "green", "blue", "red"]


def test_lines_may_name_wildcards(put: Put, fill, told) -> None:
    put("thing.txt", "__hue__ ball\n")
    put("hue.txt", "red\n")
    assert fill("a __thing__") == "a red ball"
    assert told == []


def test_a_name_without_a_file_becomes_the_bare_word_and_is_told(fill, told) -> None:
    assert fill("a __nowhere__ ball") == "a nowhere ball"
    assert [code for code, _ in told] == ["wildcard_missing"]
    assert "nowhere" in told[0][1]


def test_an_empty_file_is_as_none(put: Put, fill, told) -> None:
    put("hue.txt", "\n \n")
    assert fill("__hue__") == "hue"
    assert told[0][0] == "wildcard_missing"


def test_wildcards_that_name_themselves_come_to_an_end(put: Put, fill, told) -> None:
    put("self.txt", "__self__\n")
    assert fill("__self__") == "__self__"
    assert [code for code, _ in told] == ["wildcards_cut"]
    assert str(MAX_ROUNDS) in told[0][1]


def test_wildcards_that_double_themselves_are_cut_at_the_length_of_a_prompt(put: Put, fill, told) -> None:
    put("twice.txt", "__twice__ __twice__\n")
    assert len(fill("__twice__")) == MAX_CHARACTERS
    assert [code for code, _ in told] == ["wildcards_cut"]


def test_a_file_in_a_subfolder_is_named_with_or_without_it(put: Put, fill) -> None:
    put("birds/sea.txt", "gull\n")
    assert fill("__birds/sea__ __sea__") == "gull gull"


def test_a_file_that_lies_where_its_name_says_stands_before_a_deeper_one(put: Put, fill) -> None:
    put("a/sea.txt", "deep\n")
    put("sea.txt", "here\n")
    assert fill("__sea__") == "here"


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, put: Put, fill, told) -> None:
    put("inside/hue.txt", "red\n")
    (tmp_path.parent / "secret.txt").write_text("secret\n")
    for text in ("__../secret__", "__..__", f"__{tmp_path.parent}/secret__"):
        assert "secret\n" not in fill(text)
        assert fill(text) == text
    assert told == []


def test_neighbours_are_told_apart(put: Put, fill) -> None:
    put("hue.txt", "red\n")
    put("a_b-c.txt", "ball\n")
    assert fill("__hue____a_b-c__") == "redball"


def test_a_file_of_the_users_stands_before_the_packaged_one(put: Put, fill) -> None:
    put("color.txt", "octarine\n")
    assert fill("__color__") == "octarine"


def test_the_packaged_ones_are_those_that_clients_know() -> None:
    assert {path.stem for path in PACKAGED_DIR.iterdir()} == set(PACKAGED)
    assert set(Wildcards().names) == set(PACKAGED)


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_one_has_lines_and_none_twice(name: str) -> None:
    lines = Wildcards().lines(name)
    assert len(lines) >= 2
    assert len({line.casefold() for line in lines}) == len(lines)


def test_a_packaged_one_may_be_made_of_others(fill, told) -> None:
    colour, flower = fill("__color_flower__", 3).split(" ", 1)
    assert "_" not in colour + flower
    assert told == []
