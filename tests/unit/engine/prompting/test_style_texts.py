"""The packaged style templates: every name clients know, each saying something of its own."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

import engine.prompting

GROUPS: Final = {"fooocus": 8, "sai": 17, "mre": 22, "twri": 89, "diva": 79, "marc_k3nt3l": 62}
ONLY_NEGATIVE: Final = {"Fooocus Enhance", "Fooocus Semi Realistic", "Fooocus Negative"}
"""They say what to avoid and leave the prompt alone."""
KNOWN_NAMES: Final = (Path(__file__).parent / "style_names.txt").read_text("utf-8").splitlines()
FOLDER: Final = Path(engine.prompting.__path__[0]) / "styles"
LIVING_ARTISTS: Final = re.compile(r"\b(adnate|ron english|shepard|fairey|obey)\b", re.IGNORECASE)


def templates_of(group: str) -> list[dict[str, str]]:
    read: list[dict[str, str]] = json.loads((FOLDER / f"{group}.json").read_text("utf-8"))
    return read


TEMPLATES: Final = [template for group in GROUPS for template in templates_of(group)]


def test_the_names_are_those_that_clients_know_in_their_order():
    assert [template["name"] for template in TEMPLATES] == KNOWN_NAMES


def test_no_other_file_lies_beside_the_groups():
    assert {path.name for path in FOLDER.iterdir()} == {f"{group}.json" for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_its_number_of_styles(group):
    assert len(templates_of(group)) == GROUPS[group]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template["name"])
def test_a_template_says_enough_and_not_too_much(template):
    assert template.keys() == {"name", "prompt", "negative_prompt"}
    prompt, negative = template["prompt"], template["negative_prompt"]
    if template["name"] in ONLY_NEGATIVE:
        assert prompt == ""
    else:
        assert prompt.count("{prompt}") == 1
        assert 8 <= len(prompt.replace("{prompt}", "").split()) <= 30
    assert "{prompt}" not in negative
    assert 4 <= len(negative.split()) <= 30
    assert not set("\n()[]<>:|\\") & set(prompt + negative)


def test_no_two_styles_say_the_same():
    said = Counter(template["prompt"] for template in TEMPLATES if template["prompt"])
    refused = Counter(template["negative_prompt"] for template in TEMPLATES)
    assert [text for text, times in (said + refused).items() if times > 1] == []


def test_no_living_artist_is_named_in_a_text():
    texts = [template["prompt"] + " " + template["negative_prompt"] for template in TEMPLATES]
    assert [text for text in texts if LIVING_ARTISTS.search(text)] == []
