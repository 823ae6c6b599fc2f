import hashlib
from pathlib import Path

import pytest

from service.partial_file import Origin, PartialFile

URL = "https://example.org/a.safetensors?token=secret"


def test_what_has_arrived_and_from_where_is_found_again_and_the_url_is_not_written_down(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / "loras" / "a.safetensors")
    assert (part.size_bytes, part.origin) == (0, None)
    part.begin(Origin.of(URL, '"one"'))
    part.path.write_bytes(b"abc")
    again = PartialFile(part.target)
    assert again.size_bytes == 3
    assert again.sha256() == hashlib.sha256(b"abc").hexdigest()
    assert again.origin == Origin.of(URL, '"one"')
    assert again.origin.is_of(URL)
    assert not again.origin.is_of("https://example.org/b.safetensors")
    assert not any(b"secret" in path.read_bytes() for path in part.target.parent.iterdir())


def test_beginning_anew_forgets_what_had_arrived(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / "a.safetensors")
    part.path.write_bytes(b"abc")
    part.begin(Origin.of(URL, None))
    assert part.size_bytes == 0
    assert part.origin == Origin.of(URL, None)


def test_a_finished_file_has_its_name_and_nothing_else_stays(tmp_path: Path) -> None:
    part = PartialFile(tmp_path / "a.safetensors")
    part.begin(Origin.of(URL, None))
    part.path.write_bytes(b"abc")
    part.finish()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.safetensors": b"abc"}


@pytest.mark.parametrize("notes", ["", "[]", "{}", '{"url_sha256": 7, "validator": null}', "\ufffd{"])
def test_damaged_notes_are_none(tmp_path: Path, notes: str) -> None:
    part = PartialFile(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors.part.json").write_text(notes, "utf-8")
    assert part.origin is None
    part.discard()
    assert list(tmp_path.iterdir()) == []
