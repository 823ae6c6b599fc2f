"""The page about models and the catalogue say the same."""

import re
from pathlib import Path

import pytest

from engine.models.catalogue import CATALOGUE, Model
from safelight.wording import size

MODELS_PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in MODELS_PAGE.splitlines()
    if line.startswith("| `")
]
MODELS = pytest.mark.parametrize("model", CATALOGUE.values(), ids=lambda model: model.name)


@MODELS
def test_a_model_has_its_tasks_size_licence_and_source(model: Model) -> None:
    tasks = ", ".join(f"`{task}`" for task in model.tasks)
    default = "yes" if model.is_default else "no"
    assert (f"`{model.name}`", tasks, size(model.size_bytes), default, model.licence, model.source) in ROWS
    assert f"- `{model.name}`: {model.title}.\n" in MODELS_PAGE


@MODELS
def test_a_model_has_its_carrier_with_its_licence(model: Model) -> None:
    carrier = f"`{model.carrier.package}=={model.carrier.version}`"
    assert (f"`{model.name}`", carrier, model.carrier.licence) in ROWS


@MODELS
def test_a_model_has_its_files_with_size_and_checksum(model: Model) -> None:
    for file in model.files:
        assert (f"`{model.name}`", f"`{file.name}`", str(file.size_bytes), f"`{file.sha256}`") in ROWS


def test_no_row_is_of_a_model_or_a_file_that_the_catalogue_has_not() -> None:
    assert {row[0].strip("`") for row in ROWS} == set(CATALOGUE)
    assert len(ROWS) == 2 * len(CATALOGUE) + sum(len(model.files) for model in CATALOGUE.values())


def test_the_size_of_all_default_models_is_right() -> None:
    total = sum(model.size_bytes for model in CATALOGUE.values() if model.is_default)
    told = re.search(r"take about (\d+) MB on disk", MODELS_PAGE)
    assert told
    assert int(told[1]) == round(total / 1e6)
