"""Which preset a name means, and which there are."""

import json
import os
from pathlib import Path

import pytest

from service.presets.book import PACKAGED_DIR, PresetBook, UnknownPreset

PACKAGED = ("initial", "default", "realistic", "anime", "lightning", "lcm", "playground_v2.5", "pony_v6", "sai")


def write(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_the_packaged_ones_have_the_names_that_clients_know_and_can_all_be_used() -> None:
    infos = PresetBook().infos()
    assert {info.name for info in infos} == set(PACKAGED)
    assert [(info.name, info.problem, info.unused) for info in infos if info.problem or info.unused] == []
    assert {info.source for info in infos} == {"packaged"}


def test_only_the_initial_one_gives_nothing() -> None:
    assert [info.name for info in PresetBook().infos() if not info.params] == ["initial"]


def test_no_packaged_one_names_a_download() -> None:
    texts = {path.name: path.read_text("utf-8") for path in PACKAGED_DIR.glob("*.json")}
    assert [name for name, text in texts.items() if "downloads" in text or "://" in text] == []


def test_one_in_the_servers_folders_stands_before_the_packaged_one(tmp_path: Path) -> None:
    write(tmp_path / "second", "Anime", {"default_image_number": 9})
    write(tmp_path / "first", "anime", {"default_image_number": 5})
    book = PresetBook((tmp_path / "first", tmp_path / "second", tmp_path / "gone"))
    assert book.find("anime").contents.params == {"images": 5}
    assert [info.source for info in book.infos() if info.name.casefold() == "anime"] == ["files"]
    assert len(book.infos()) == len(PACKAGED)


@pytest.mark.parametrize("name", ["mine", "Mine", "mine.json", " mine "])
def test_a_name_means_the_same_in_other_letters_and_with_its_extension(tmp_path: Path, name: str) -> None:
    write(tmp_path / "presets", "mine", {"default_image_number": 4})
    assert PresetBook((tmp_path / "presets",)).find(name).contents.params == {"images": 4}


def test_an_unknown_name_is_refused_with_those_that_are_close() -> None:
    with pytest.raises(UnknownPreset, match="there is no preset 'realistik'; close to it: 'realistic'"):
        PresetBook().find("realistik")


@pytest.mark.parametrize("name", ["../default", "/etc/passwd", "packaged/default", ""])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(UnknownPreset):
        PresetBook().find(name)


def test_a_changed_file_is_read_anew_and_one_that_has_gone_is_forgotten(tmp_path: Path) -> None:
    path = write(tmp_path / "presets", "mine", {"default_image_number": 4})
    book = PresetBook((tmp_path / "presets",))
    assert book.find("mine").contents.params == {"images": 4}
    write(tmp_path / "presets", "mine", {"default_image_number": 5})
    os.utime(path, ns=(1, 1))
    assert book.find("mine").contents.params == {"images": 5}
    path.unlink()
    with pytest.raises(UnknownPreset):
        book.find("mine")


@pytest.mark.parametrize(
    ("content", "said"), [("{", "not JSON"), ("[]", "not a JSON object"), (" " * (1 << 21), "more")]
)
def test_a_file_that_is_no_preset_is_listed_with_its_problem(tmp_path: Path, content: str, said: str) -> None:
    write(tmp_path / "presets", "mine", content)
    info = next(info for info in PresetBook((tmp_path / "presets",)).infos() if info.name == "mine")
    assert said in (info.problem or "")
