"""The documentation of the tasks says what the code does: every parameter with its range and default, every warning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.models.catalogue import CATALOGUE
from protocol.generation import GenerationParams
from protocol.requests import TASKS, TaskName

REPOSITORY = Path(__file__).parents[2]
TASKS_PAGE = (REPOSITORY / "docs" / "tasks.md").read_text("utf-8")
PROSE_COLUMNS = 120
_PLURALS = {
    "Region": "regions",
    "Point": "points",
    "LoraRef": "LoRAs",
    "ControlRef": "controls",
    "ImagePromptRef": "image prompts",
}


def section(heading: str) -> str:
    """What stands under a heading of the second level."""
    assert f"\n## {heading}\n" in TASKS_PAGE, f"tasks.md has no section {heading}"
    return TASKS_PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def schema(task: TaskName) -> Mapping[str, Any]:
    made: Mapping[str, Any] = TASKS[task].params.model_json_schema()
    return made


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """First cell, without its backticks -> the other cells, of every row of the tables in `text`."""
    found = re.findall(r"^\| `([\w-]+)` \|(.+)\|$", text, re.MULTILINE)
    return {name: tuple(cell.strip() for cell in rest.split("|")) for name, rest in found}


def wanted_type(name: str, field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """How the page has to write a parameter's type and range."""
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    assert len(kinds) == 1, f"{name}: the table has no words for a choice of types"
    kind = {**field, **kinds[0]}
    if "$ref" in kind:
        target = kind["$ref"].rpartition("/")[2]
        values = definitions[target].get("enum")
        return target.lower() if values is None else ", ".join(f"`{value}`" for value in values)
    if kind["type"] == "array":
        items = kind["items"]
        of = "names" if items.get("type") == "string" else _PLURALS[items["$ref"].rpartition("/")[2]]
        return f"list, at most {kind['maxItems']} {of}"
    if kind["type"] == "string":
        return f"text, at most {kind['maxLength']} characters" if "maxLength" in kind else "picture"
    if kind["type"] == "boolean":
        return "true or false"
    word = {"integer": "whole number", "number": "number"}[kind["type"]]
    return f"{word} {kind['minimum']}..{kind['maximum']}"


def wanted_default(name: str, made: Mapping[str, Any]) -> str:
    if name in made.get("required", ()):
        return "required"
    default = made["properties"][name].get("default")
    if default is None:
        return "none"
    if default == []:
        return "empty"
    if isinstance(default, bool):
        return str(default).lower()
    return f"`{default}`" if default and isinstance(default, str) else str(default) or "empty"


@pytest.mark.parametrize("task", TASKS)
def test_the_table_of_a_task_has_every_parameter_with_its_type_range_and_default(task: TaskName) -> None:
    made, table = schema(task), rows(section(task))
    if issubclass(TASKS[task].params, GenerationParams):
        assert not set(table) & set(GenerationParams.model_fields), "the shared ones have a table of their own"
        table |= rows(section("Making pictures"))
    assert set(table) == set(made["properties"])
    for name, field in made["properties"].items():
        kind, default, meaning = table[name]
        assert kind == wanted_type(name, field, made.get("$defs", {})), name
        assert default == wanted_default(name, made), name
        assert meaning, f"{name} is not explained"


@pytest.mark.parametrize("task", TASKS)
def test_a_task_tells_what_it_shows_gives_warns_of_takes_and_cannot_do(task: TaskName) -> None:
    for part in ("Shows.", "Output.", "Warnings.", "Time.", "What it cannot do."):
        assert f"\n**{part}** " in section(task), f"{task} has no part {part}"


@pytest.mark.parametrize("task", TASKS)
def test_the_overview_has_the_class_of_a_task_and_its_models(task: TaskName) -> None:
    overview = TASKS_PAGE.partition("\n## ")[0]
    row = re.search(rf"^\| \[`{task}`\]\(#{task}\) \|(.+)\|$", overview, re.MULTILINE)
    assert row, f"{task} is not in the overview"
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells[0] == ("interactive" if TASKS[task].is_interactive else "batch")
    for model in CATALOGUE.values():
        assert (f"`{model.name}`" in cells[2]) == (task in model.tasks), f"{task}: {model.name}"


def test_every_warning_of_the_engine_has_its_row_and_no_other_has() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (REPOSITORY / "engine").rglob("*.py"))
    told = set(re.findall(r'(?:\b_?warn\(\s*|_tell\(warn, )"(\w+)"', source))
    presets = "\n".join(path.read_text("utf-8") for path in (REPOSITORY / "service" / "presets").glob("*.py"))
    told |= set(re.findall(r'JobWarning\(code="(\w+)"', presets))
    assert set(rows(section("Warnings"))) == told


def test_every_warning_is_named_by_the_tasks_its_row_names() -> None:
    with_picture = {task for task, spec in TASKS.items() if spec.image_fields or spec.image_lists}
    for code, (tasks, _) in rows(section("Warnings")).items():
        told_by = with_picture if tasks == "all with a picture" else set(re.findall(r"`(\w+)`", tasks))
        assert {task for task in TASKS if f"`{code}`" in warnings_of(task)} == told_by, code


def warnings_of(task: TaskName) -> str:
    """The paragraph that begins with Warnings."""
    return section(task).partition("**Warnings.**")[2].partition("\n\n")[0]


def test_prose_is_wrapped() -> None:
    long = [line for line in TASKS_PAGE.splitlines() if len(line) > PROSE_COLUMNS and not line.startswith("|")]
    assert long == []
