"""docs/dialects/text_removal.md is complete, and what it names exists."""

import re
from pathlib import Path

import pytest

from service.dialects.text_removal.environment import _VARIABLES
from service.dialects.text_removal.requests import AsyncRequest, MaskRequest
from service.dialects.text_removal.routes import DIALECT
from service.dialects.text_removal.states import Stage, TaskStatus
from tests.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "dialects" / "text_removal.md").read_text("utf-8")
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
ROWS = [line for line in PAGE.partition("## Where it differs")[2].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("route", DIALECT.routes, ids=lambda route: route.path)
def test_every_route_has_its_row(route: object) -> None:
    method = next(iter(getattr(route, "methods", None) or {"WS"} - {"HEAD"}), "")
    methods = {"WS"} if method == "WS" else set(getattr(route, "methods", ())) - {"HEAD"}
    for each in methods:
        assert f"| `{each} {route.path}` |" in PAGE  # type: ignore[attr-defined]


def test_every_field_status_stage_and_variable_is_named() -> None:
    names = {*AsyncRequest.model_fields, *MaskRequest.model_fields, *TaskStatus, *Stage, *_VARIABLES}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_deviation_has_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row.split("|")[3])
    assert named
    for name in named:
        assert f"def {name}(" in TESTS
