"""What operators read about metrics, scopes, logs and files is what the code has."""

import re
from pathlib import Path

import pytest

from engine.interface.engine import EngineState, EngineStatus
from service.auth import Scope
from service.metrics import Gauges, Metrics
from service.migrations import DATABASE_NAME
from service.settings import Settings
from service.webhooks import SECRET_FILE

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
_LOUD = re.compile(r'\blog(?:ger)?\.(warning|error|exception|critical)\(\s*"([a-z_.]+)"')
_LEVELS = {"exception": "error"}


def section(heading: str) -> str:
    """What stands under a heading of the second level."""
    assert f"\n## {heading}\n" in OPERATIONS, f"operations.md has no section {heading}"
    return OPERATIONS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def exposed_metrics() -> dict[str, str]:
    """Name -> type, as a server exposes them."""
    metrics = Metrics()
    engine = EngineState(status=EngineStatus.READY, device="cpu", live_jobs=0, live_bytes=0, budget_bytes=1)
    metrics.watch(
        Gauges(
            queued=lambda: {"batch": 0},
            engine=lambda: engine,
            subscribers=lambda: 0,
            sockets=lambda: 0,
            deepest_buffer=lambda: 0,
        )
    )
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", metrics.render()[0].decode(), re.MULTILINE))


def loud_events() -> set[tuple[str, str]]:
    """Event and level of every log line of the server that is a warning or worse."""
    files = [path for name in ("service", "engine") for path in (REPOSITORY / name).rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in files)
    return {(event, _LEVELS.get(level, level)) for level, event in _LOUD.findall(source)}


def shown_default(name: str) -> str:
    """How the table has to begin the cell of a setting's default."""
    default = Settings.model_fields[name].default
    if name == "api":
        return f"no keys, `{default.key_header}`"
    if isinstance(default, tuple):
        return ", ".join(map(str, default)) or "none"
    if isinstance(default, bool) or default is None:
        return {None: "none", True: "true", False: "false"}[default]
    if isinstance(default, float):
        return f"{default:.12g}"
    return str(default)


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"models_dir"}))
def test_every_setting_has_its_default_in_its_row(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.*?) \|", section("Settings"), re.MULTILINE)
    assert row
    without_reading_aid = re.sub(r" \([\w ]+\)$", "", row[1])
    assert without_reading_aid == shown_default(name)


def test_every_metric_has_its_row_with_its_type_and_no_other_has() -> None:
    rows = re.findall(r"^\| `(safelight_\w+)` \| (\w+) \|.*?\| (.+) \|$", section("Metrics"), re.MULTILINE)
    assert {name: kind for name, kind, _ in rows} == exposed_metrics()
    assert len({name for name, *_ in rows}) == len(rows)


def test_every_status_of_the_engine_is_named_in_the_row_of_its_metric() -> None:
    row = re.search(r"^\| `safelight_engine_status` .*$", section("Metrics"), re.MULTILINE)
    assert row
    for status in EngineStatus:
        assert f"`{status}`" in row[0]


@pytest.mark.parametrize("scope", Scope)
def test_every_scope_has_its_row(scope: Scope) -> None:
    assert re.search(rf"^\| `{scope}` \| .+ \|$", section("Keys"), re.MULTILINE)


@pytest.mark.parametrize(("event", "level"), sorted(loud_events()))
def test_every_warning_and_error_in_the_log_has_its_row(event: str, level: str) -> None:
    assert re.search(rf"^\| `{re.escape(event)}` \| {level} \| .+ \|$", section("Logs"), re.MULTILINE)


def test_the_files_of_the_data_folder_are_named() -> None:
    for name in (DATABASE_NAME, SECRET_FILE):
        assert f"`{name}`" in section("Storage")
