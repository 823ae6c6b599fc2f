"""What the documentation points at is there: pages, headings, files, and names of the code."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = tuple(sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]))
_FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)")
_FILE = re.compile(r"`((?:protocol|engine|service|safelight|web|tests|docs|bench)/[\w/.-]+\.\w+)`")
_NAMES = re.compile(r"`([A-Z]\w+)\.(\w+)`")
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def prose(page: Path) -> str:
    return _FENCES.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@EACH
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target, anchor in _LINK.findall(prose(page)):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(there), f"{target or page.name} has no heading #{anchor}"


@EACH
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for name in _FILE.findall(prose(page)):
        assert (REPOSITORY / name).exists(), f"{name} is not there"


def test_every_class_and_member_in_the_architecture_exists() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    files = [path for name in ("protocol", "engine", "service") for path in (REPOSITORY / name).rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in files)
    named = set(_NAMES.findall(text)) | set(re.findall(r"\b([A-Z][a-z]\w+)\.([a-z_]\w+)\b", text))
    assert named
    for owner, member in named:
        body = re.search(rf"^class {owner}\b.*?(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL)
        assert body, f"there is no class {owner}"
        defined = rf"\b(?:def {member}\b|{member}(?::| =)|self\.{member}\b)"
        assert re.search(defined, body[0]), f"{owner} has no {member}"


def test_decisions_are_numbered_without_a_gap_and_have_their_parts() -> None:
    pages = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]}. "), page.name
        for part in ("**Status:**", "## Context", "## Decision", "## Consequences"):
            assert part in text, f"{page.name} has no {part}"
