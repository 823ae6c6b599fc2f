"""docs/dialects/sd_api.md is complete, and what it names exists."""

import re
from pathlib import Path

import pytest
from starlette.routing import BaseRoute, Route

from service.dialects.sd_api.requests import GenerateRequest
from service.dialects.sd_api.routes import DIALECT
from service.dialects.sd_api.schedulers import SCHEDULERS
from service.dialects.sd_api.tasks import TaskStatus
from service.settings import Settings, load
from service.storage import MinioSettings, StoragePlace
from tests.servers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "dialects" / "sd_api.md").read_text("utf-8")
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
ROWS = [line for line in PAGE.partition("## Where it differs")[2].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("route", DIALECT.routes, ids=lambda route: route.path)
def test_every_route_has_its_row(route: BaseRoute) -> None:
    assert isinstance(route, Route)
    for method in set(route.methods or ()) - {"HEAD"}:
        assert f"| `{method} {route.path}` |" in PAGE


def test_every_field_and_status_is_named() -> None:
    names = {*GenerateRequest.model_fields, *TaskStatus, *(n for n in Settings.model_fields if n.startswith("sd_api_"))}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_every_scheduler_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+Scheduler)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert rows == [(theirs.value, ours.value) for theirs, ours in SCHEDULERS.items()]


def test_every_key_of_the_section_minio_is_told_of() -> None:
    operations = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    (row,) = re.findall(r"^\| `minio` \|.*$", operations, re.MULTILINE)
    assert {name for name in MinioSettings.model_fields if f"`{name}`" not in row} == set()


def test_the_configuration_that_is_shown_is_one(tmp_path: Path) -> None:
    operations = (REPOSITORY / "docs" / "operations.md").read_text("utf-8").partition("### Copies of outputs")[2]
    shown = [re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) for text in (PAGE, operations.partition("\n## ")[0])]
    places = []
    for number, block in enumerate([*shown[0], *shown[1]]):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        place = StoragePlace.of(load(file))
        assert place is not None
        places.append(place.bucket)
    assert places == ["sd-images", "pictures", "sd-images"]
    settings = load(tmp_path / "0.yaml")
    assert (settings.api.keys, settings.api.key_header) == (("your_api_key_1", "your_api_key_2"), "X-API-Key")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_every_deviation_has_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(test_\w+)`", row.split("|")[3])
    assert named
    for name in named:
        assert f"def {name}(" in TESTS
