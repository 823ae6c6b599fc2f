"""The pages of dialects name every route there is, and for everything that differs from the original a test of it."""

import re
from typing import Final, NamedTuple

import pytest
from starlette.routing import Route, WebSocketRoute

from service.dialects import DIALECTS
from service.profiles import Profile
from tests.dialects.pages import page
from tests.servers import REPOSITORY

PROFILES: Final = tuple(profile for profile in DIALECTS if profile is not Profile.IOPAINT)
"""The page of IOPaint's dialect has another form; see tests/contract/test_docs_iopaint.py."""
PLACES: Final = ("tests/dialects", "tests/unit/service/dialects")


class Row(NamedTuple):
    """One of the table of what differs."""

    profile: Profile
    text: str

    def __str__(self) -> str:
        return f"{self.profile}: {self.text.split('|')[1].strip()[:50]}"


ROUTES: Final = [
    (profile, f"{method} {route.path}")
    for profile in PROFILES
    for route in DIALECTS[profile].routes
    if isinstance(route, Route | WebSocketRoute)
    for method in sorted((route.methods or set()) - {"HEAD"} if isinstance(route, Route) else {"WS"})
]
ROWS: Final = [
    Row(profile, line)
    for profile in PROFILES
    for line in page(profile).partition("## Where it differs")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| the original |")
]


@pytest.mark.parametrize(("profile", "route"), ROUTES)
def test_every_route_has_its_row(profile: Profile, route: str) -> None:
    assert f"| `{route}` |" in page(profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_page_tells_what_differs(profile: Profile) -> None:
    assert [row for row in ROWS if row.profile is profile]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_deviation_has_a_test_that_exists(row: Row) -> None:
    folders = [REPOSITORY / place / row.profile for place in PLACES]
    tests = "".join(path.read_text("utf-8") for folder in folders for path in folder.glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", row.text.split("|")[3])
    assert named
    for name in named:
        assert f"def {name}(" in tests
