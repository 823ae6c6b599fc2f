"""docs/dialects/fooocus_engine.md is complete, and what it names exists."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from service.dialects.fooocus_engine.records import STATUS
from service.dialects.fooocus_engine.requests import EngineRequest, Query
from service.dialects.fooocus_engine.routes import ROUTES
from tests.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "dialects" / "fooocus_engine.md").read_text("utf-8")
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
TESTS += "".join(
    path.read_text("utf-8")
    for path in (REPOSITORY / "tests" / "unit" / "service" / "dialects" / "fooocus_engine").glob("test_*.py")
)
ROWS = [line for line in PAGE.partition("## Where it differs")[2].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_has_its_row(route: Route) -> None:
    for method in (route.methods or set()) - {"HEAD"}:
        assert f"| `{method} {route.path}` |" in PAGE


def test_every_field_status_group_and_setting_is_named() -> None:
    names = {
        *EngineRequest.model_fields,
        *(status for status in STATUS.values() if status is not None),
        *Query,
        "fooocus_engine_double_webhook",
        "fooocus_base_url",
        "fooocus_webhook_url",
    }
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_deviation_has_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row.split("|")[3])
    assert named
    for name in named:
        assert f"def {name}(" in TESTS
