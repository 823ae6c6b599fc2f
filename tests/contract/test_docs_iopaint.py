"""The page of IOPaint's dialect names every route, field, plugin and sampler there is."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from service.dialects.iopaint.plugins import PLUGINS
from service.dialects.iopaint.requests import InpaintRequest
from service.dialects.iopaint.routes import ROUTES
from service.dialects.iopaint.samplers import SAMPLERS
from service.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "dialects" / "iopaint.md").read_text("utf-8")
API = sorted(
    f"{method} {route.path}"
    for route in ROUTES
    if isinstance(route, Route) and route.path.startswith("/api/")
    for method in route.methods or ()
)


@pytest.mark.parametrize("route", API)
def test_every_route_has_its_row(route: str) -> None:
    assert f"\n| `{route}` |" in PAGE


def test_no_row_names_a_route_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `([A-Z]+ /api/[^`]+)` \|", PAGE, re.MULTILINE)) == set(API)


@pytest.mark.parametrize("field", sorted(set(InpaintRequest.model_fields) - {"image", "mask"}))
def test_every_field_has_its_row(field: str) -> None:
    assert re.search(rf"^\|[^|]*`{field}`[^|]*\|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_plugin_has_its_row_with_the_models_it_can_use(plugin: str) -> None:
    row = re.search(rf"^\| {plugin} \|.*$", PAGE, re.MULTILINE)
    assert row
    for model in PLUGINS[plugin].served:
        assert f"`{model}`" in row[0]


def test_every_setting_of_the_dialect_is_named() -> None:
    for name in Settings.model_fields:
        assert not name.startswith("iopaint_") or f"`{name}`" in PAGE


def test_there_are_as_many_samplers_as_the_page_says() -> None:
    assert f"the {len(SAMPLERS)} samplers" in PAGE
