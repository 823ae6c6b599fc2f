import pytest

from engine.grounding.words import as_read, names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("face, hand. eyes", ["face", "hand", "eyes"]),
        ("  A  Red Hat.", ["a red hat"]),
        ("eye; eye\nEYE", ["eye"]),
        (" .,; ", []),
        ("", []),
    ],
)
def test_names_stand_between_signs_and_count_once(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_each_name_is_ended_by_a_full_stop() -> None:
    assert as_read(["face", "red hat"]) == "face. red hat."
