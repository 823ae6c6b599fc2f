"""Styles: read from files in Fooocus' format, found by the names clients know them by."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine.prompting.styles import StyleBook, UnknownStyle, style_name

PACKAGED = 277


def put(path: Path, *styles: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(styles)), "utf-8")


def entry(name: str, prompt: str = "{prompt}, x", negative: str = "y") -> dict[str, str]:
    return {"name": name, "prompt": prompt, "negative_prompt": negative}


def test_every_packaged_style_is_listed_behind_the_two_without_a_template() -> None:
    infos = StyleBook().infos()
    assert [info.name for info in infos[:3]] == ["Fooocus V2", "Random Style", "Fooocus Enhance"]
    assert infos[-1].name == "Mk Shepard Fairey Style"
    assert len(infos) == 2 + PACKAGED
    assert [info.source for info in infos[:3]] == ["built_in", "built_in", "packaged"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("sai-3d-model", "SAI 3D Model"),
        ("mre-sumi-e symbolic", "MRE Sumi E Symbolic"),
        ("artstyle-pop art", "Artstyle Pop Art"),
        ("Flat 2d Art", "Flat 2d Art"),
        ("Mk Ukiyo E", "Mk Ukiyo E"),
    ],
)
def test_names_are_shown_as_clients_know_them(told: str, shown: str) -> None:
    assert style_name(told) == shown


def test_a_packaged_name_is_shown_as_it_stands_in_its_file() -> None:
    for style in StyleBook().look().by_key.values():
        assert style_name(style.name) == style.name


@pytest.mark.parametrize("name", ["SAI Line Art", "sai line art", "sai-line_art", " SAI  Line Art "])
def test_a_style_is_found_whatever_the_case_and_the_blanks(name: str) -> None:
    assert StyleBook().look().find(name).name == "SAI Line Art"


def test_an_unknown_style_is_told_with_the_names_that_are_close() -> None:
    with pytest.raises(UnknownStyle, match=r"there is no style 'SAI Animee'; close to it: 'SAI Anime'"):
        StyleBook().look().find("SAI Animee")


def test_a_file_of_the_users_adds_styles_and_stands_before_packaged_ones(tmp_path: Path) -> None:
    put(tmp_path / "mine.json", entry("my-own"), entry("sai-anime", "mine: {prompt}", "theirs"))
    styles = StyleBook([tmp_path]).look()
    assert styles.find("My Own").source == "files"
    anime = styles.find("SAI Anime")
    assert (anime.prompt, anime.negative_prompt, anime.source) == ("mine: {prompt}", "theirs", "files")
    assert len(styles.by_key) == PACKAGED + 1


def test_the_first_folder_counts(tmp_path: Path) -> None:
    put(tmp_path / "one" / "a.json", entry("twice", "first"))
    put(tmp_path / "two" / "a.json", entry("twice", "second"))
    assert StyleBook([tmp_path / "one", tmp_path / "two"]).look().find("twice").prompt == "first"


def test_what_changes_on_the_disk_is_seen_at_the_next_look(tmp_path: Path) -> None:
    book = StyleBook([tmp_path])
    assert book.check(["mine"]) is not None
    put(tmp_path / "a.json", entry("mine", "old"))
    assert book.check(["mine"]) is None
    put(tmp_path / "a.json", entry("mine", "much newer"))
    assert book.look().find("mine").prompt == "much newer"
    (tmp_path / "a.json").unlink()
    with pytest.raises(UnknownStyle):
        book.look().find("mine")


def test_check_names_the_first_unknown_one(tmp_path: Path) -> None:
    problem = StyleBook([tmp_path]).check(["Fooocus V2", "random style", "SAI Anime", "nobody's", "none"])
    assert problem is not None
    assert problem[0] == 3
    assert "nobody's" in problem[1]


@pytest.mark.parametrize("content", ["{", '{"name": "a"}', "", "[[[["])
def test_a_bad_file_is_passed_by_and_logged_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    put(tmp_path / "good.json", entry("good"))
    book = StyleBook([tmp_path])
    with capture_logs() as logs:
        assert book.look().find("good").prompt
        book.look()
    assert [log["event"] for log in logs] == ["styles.skipped"]


def test_entries_that_are_no_styles_are_passed_by(tmp_path: Path) -> None:
    put(tmp_path / "a.json", 1, {}, {"name": 2}, {"name": " "}, entry("Fooocus V2"), entry("random-style"), entry("a"))
    assert len(StyleBook([tmp_path]).look().by_key) == PACKAGED + 1


def test_a_style_may_leave_a_template_out(tmp_path: Path) -> None:
    put(tmp_path / "a.json", {"name": "bare"}, {"name": "odd", "prompt": None, "negative_prompt": 3})
    styles = StyleBook([tmp_path]).look()
    assert styles.find("bare").prompt == styles.find("bare").negative_prompt == ""
    assert styles.find("odd").prompt == styles.find("odd").negative_prompt == ""
