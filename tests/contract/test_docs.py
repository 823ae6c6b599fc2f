"""The documentation is complete: whatever has a name on the wire or in the settings has its place."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from protocol.errors import HTTP_STATUS, ErrorCode
from protocol.events import EVENTS
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES
from protocol.requests import TASKS
from service.app import ROUTES
from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text("utf-8")
OPERATIONS = (DOCS / "operations.md").read_text("utf-8")


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_its_heading(event: str) -> None:
    assert f"\n### {event}\n" in PROTOCOL


@pytest.mark.parametrize("event", EVENTS)
def test_every_field_of_an_event_is_named_under_its_heading(event: str) -> None:
    section = PROTOCOL.partition(f"\n### {event}\n")[2].partition("\n#")[0]
    for field in fields(EVENTS[event]):
        assert re.search(rf"\b{field.name}\b", section), f"{event}: {field.name} is not mentioned"


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_its_row_with_its_status(code: ErrorCode) -> None:
    row = re.search(rf"^\| `{code}` \| (\w+) \| .+ \|$", PROTOCOL, re.MULTILINE)
    assert row, f"{code} has no row"
    assert row[1] in {str(HTTP_STATUS[code].value), "job"}


def test_no_row_names_an_error_code_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:\d{3}|job) \|", PROTOCOL, re.MULTILINE)
    assert set(rows) == set(ErrorCode)


def test_every_close_code_has_its_row_and_no_other_has() -> None:
    section = PROTOCOL.partition("### Close codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d{4}) \|", section, re.MULTILINE)} == set(CLOSE_CODES)


@pytest.mark.parametrize("message", CLIENT_MESSAGES)
def test_every_message_has_its_row_with_its_fields(message: str) -> None:
    row = re.search(rf"^\| `{message}` \|.*$", PROTOCOL, re.MULTILINE)
    assert row, f"{message} has no row"
    for field in set(CLIENT_MESSAGES[message].model_fields) - {"type", "ref"}:
        assert field in row[0], f"{message}: {field} is not mentioned"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_named(task: str) -> None:
    assert f"`{task}`" in PROTOCOL


def test_every_route_is_in_the_table_of_routes() -> None:
    table = PROTOCOL.partition("## Routes")[2].partition("\n## ")[0]
    for method, path in _operations(ROUTES):
        named = f"`{method} {path}`" if method else f"`{path}`"
        assert named in table, f"{named} is not in the table"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_its_row(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", OPERATIONS, re.MULTILINE), f"{name} has no row in operations.md"


def test_no_row_names_a_setting_that_does_not_exist() -> None:
    section = OPERATIONS.partition("## Settings")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(Settings.model_fields)


def _operations(routes: tuple[BaseRoute, ...]) -> list[tuple[str, str]]:
    operations = []
    for route in routes:
        if isinstance(route, Route):
            operations += [(method, route.path) for method in sorted((route.methods or set()) - {"HEAD"})]
        elif isinstance(route, WebSocketRoute):
            operations.append(("", route.path))
        else:
            assert isinstance(route, Mount)  # static files; they belong to the page that shows them
    return operations
