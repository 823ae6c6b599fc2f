"""Variables of foreign services: read while a profile is on, below our own and above the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.foreign_environment import foreign_settings
from service.profiles import Dialect, Profile
from service.settings import load

ENVIRONMENT = {"MODEL": "lama", "HOST": "0.0.0.0"}


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"default_model": environment["MODEL"], "host": environment["HOST"]}


@pytest.fixture(autouse=True)
def dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    built = {
        Profile.IOPAINT: Dialect(routes=()),
        Profile.TEXT_REMOVAL: Dialect(routes=(), environment=read),
        Profile.SD_API: Dialect(routes=(), environment=lambda environment: {"host": "10.0.0.1", "worker": "sd"}),
    }
    monkeypatch.setattr("service.foreign_environment.DIALECTS", built)


@pytest.mark.parametrize("listen", ["8080", "8080=iopaint", ""])
def test_variables_are_not_looked_at_without_their_profile(listen: str) -> None:
    assert foreign_settings(load(None, {"listen": listen}), ENVIRONMENT) == {}


def test_profile_that_is_named_first_wins() -> None:
    settings = load(None, {"listen": "80=text_removal,81,82=sd_api"})
    assert foreign_settings(settings, ENVIRONMENT) == {"default_model": "lama", "host": "0.0.0.0", "worker": "sd"}
    settings = load(None, {"listen": "82=sd_api,80=text_removal"})
    assert foreign_settings(settings, ENVIRONMENT)["host"] == "10.0.0.1"


def test_they_go_before_the_file_and_after_flags_and_our_own_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("host: file\ndefault_model: file\nworker: file\nreconnect_to: file\n")
    foreign = {"host": "foreign", "default_model": "foreign", "worker": "foreign"}
    monkeypatch.setenv("SAFELIGHT_WORKER", "own")
    settings = load(file, {"default_model": "flag"}, foreign)
    assert (settings.host, settings.default_model, settings.worker, settings.reconnect_to) == (
        "foreign",
        "flag",
        "own",
        "file",
    )
