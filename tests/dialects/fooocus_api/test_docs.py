"""docs/dialects/fooocus_api.md is complete, and what it names exists."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from service.dialects.fooocus.fields import AdvancedFields
from service.dialects.fooocus_api.requests import ImagePromptRequest, InpaintRequest, UpscaleVaryRequest
from service.dialects.fooocus_api.routes import ROUTES
from service.dialects.fooocus_api.states import Stage
from service.settings import Settings
from tests.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "dialects" / "fooocus_api.md").read_text("utf-8")
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
ROWS = [line for line in PAGE.partition("## Where it differs")[2].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_has_its_row(route: Route) -> None:
    for method in (route.methods or set()) - {"HEAD"}:
        assert f"| `{method} {route.path}` |" in PAGE


def test_every_field_stage_and_setting_is_named() -> None:
    names = {
        *AdvancedFields.model_fields,
        *ImagePromptRequest.model_fields,
        *InpaintRequest.model_fields,
        *UpscaleVaryRequest.model_fields,
        *Stage,
        *(name for name in Settings.model_fields if name.startswith("fooocus_") and "engine" not in name),
    } - {"advanced_params"}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_every_warning_of_the_dialect_has_its_row_and_no_other_has() -> None:
    folders = (REPOSITORY / "service" / "dialects" / name for name in ("fooocus", "fooocus_api"))
    source = "".join(path.read_text("utf-8") for folder in folders for path in folder.glob("*.py"))
    told = set(re.findall(r'notes\.add\(\s*"(\w+)"', source)) | set(re.findall(r'JobWarning\(code="(\w+)"', source))
    table = PAGE.partition("| code | when |")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == told


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_deviation_has_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row.split("|")[3])
    assert named
    for name in named:
        assert f"def {name}(" in TESTS
