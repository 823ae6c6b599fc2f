import os
from pathlib import Path

import pytest

from service.setting_values import EngineKind, LogFormat
from service.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold() -> None:
    assert load() == Settings()
    assert (load().port, load().host) == (8765, "127.0.0.1")


def test_flags_go_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "port: 1\nmax_live_jobs: 1\nworker: file\n")
    monkeypatch.setenv("SAFELIGHT_PORT", "2")
    monkeypatch.setenv("SAFELIGHT_MAX_LIVE_JOBS", "2")
    settings = load(file, {"port": 3})
    assert (settings.port, settings.max_live_jobs, settings.worker) == (3, 2, "file")


def test_keys_may_stand_in_the_file_and_their_header_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "api:\n  keys: [one, two]\n")
    monkeypatch.setenv("SAFELIGHT_API__KEY_HEADER", "X-Key")
    settings = load(file)
    assert (settings.api.keys, settings.api.key_header) == (("one", "two"), "X-Key")


def test_lists_in_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_ALLOWED_HOSTS", "a.example, b.example,")
    monkeypatch.setenv("SAFELIGHT_FETCH_PORTS", "80,8080")
    settings = load()
    assert (settings.allowed_hosts, settings.fetch_ports) == (("a.example", "b.example"), (80, 8080))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port: 70000", "port: expected 0..65535, got 70000"),
        ("log_format: xml", "log_format: expected one of 'console' or 'json'"),
        ("colour: red", "colour: is not a known field"),
        ("max_live_jobs: 0", "max_live_jobs: expected at least 1, got 0"),
        ("- a list", "expected a mapping of settings, got list"),
        ("port: [1", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load(write(tmp_path, text))
    assert named in str(refusal.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        load(tmp_path / "none.yaml")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "# nothing yet\n")) == Settings()


def test_every_setting_says_what_it_is_for_and_has_its_unit_in_its_name() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "second" not in name, name


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1


def test_words_are_read_as_what_they_stand_for() -> None:
    settings = load(None, {"engine": "fake", "log_format": "json"})
    assert (settings.engine, settings.log_format) == (EngineKind.FAKE, LogFormat.JSON)
