"""docs/dialects/sd_api.md names every field there is."""

import re
from pathlib import Path

from service.dialects.sd_api.requests import GenerateRequest
from service.dialects.sd_api.schedulers import SCHEDULERS
from service.dialects.sd_api.tasks import TaskStatus
from service.settings import Settings, load
from service.storage import MinioSettings, StoragePlace
from tests.dialects.pages import page
from tests.servers import REPOSITORY

PAGE = page("sd_api")


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
