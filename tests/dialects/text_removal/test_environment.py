"""The variables of the text-removal service: both spellings, and only where its profile is on."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.erasing import EraseModel
from service.dialects.text_removal.environment import read_environment
from service.foreign_environment import foreign_settings
from service.settings import load

EVERYTHING = {
    "HOST": "0.0.0.0",
    "PORT": "8081",
    "MODEL": "mat",
    "DEVICE": "cuda",
    "LOW_MEM": "true",
    "CPU_OFFLOAD": "true",
    "NO_GUI": "true",
    "MAX_IMAGE_SIZE": "2048",
    "MAX_FILE_SIZE": "52428800",
    "REQUEST_TIMEOUT": "300",
    "LOG_LEVEL": "WARNING",
    "CORS_ORIGINS": '["https://a.example", "https://b.example"]',
}
READ = {
    "host": "0.0.0.0",
    "port": "8081",
    "text_removal_model": "mat",
    "device": "cuda",
    "text_removal_max_side_px": "2048",
    "max_upload_bytes": "52428800",
    "text_removal_timeout_s": "300",
    "log_level": "warning",
    "allowed_origins": ["https://a.example", "https://b.example"],
}


@pytest.mark.parametrize("prefix", ["", "IOPAINT_"])
def test_both_spellings_say_the_same(prefix: str) -> None:
    assert read_environment({prefix + name: value for name, value in EVERYTHING.items()}) == READ


def test_the_longer_spelling_wins_and_what_is_empty_says_nothing() -> None:
    assert read_environment({"IOPAINT_PORT": "1", "PORT": "2"}) == {"port": "1"}
    assert read_environment({"IOPAINT_PORT": "", "PORT": "2", "DEVICE": " "}) == {"port": "2"}
    assert read_environment({}) == {}


@pytest.mark.parametrize(
    ("variables", "read"),
    [
        ({"DEVICE": "mps"}, {}),
        ({"IOPAINT_MODEL": "lama"}, {}),
        ({"CORS_ORIGINS": "https://a.example, https://b.example"}, {"allowed_origins": READ["allowed_origins"]}),
        ({"CORS_ORIGINS": '"*"'}, {"allowed_origins": ["*"]}),
        ({"LOG_LEVEL": "CRITICAL"}, {"log_level": "error"}),
    ],
)
def test_what_is_said_differently_here(variables: Mapping[str, str], read: Mapping[str, Any]) -> None:
    assert read_environment(variables) == read


def test_it_is_read_only_while_a_listener_has_the_profile() -> None:
    with_profile = load(None, {"listen": "8081=text_removal"})
    assert foreign_settings(with_profile, EVERYTHING) == READ
    for other in ("8081", "8081=iopaint"):
        assert foreign_settings(load(None, {"listen": other}), EVERYTHING).get("text_removal_model") is None


def test_what_is_read_is_what_the_server_goes_by() -> None:
    settings = load(None, {"listen": "8081=text_removal"}, foreign=read_environment(EVERYTHING))
    assert settings.text_removal_model is EraseModel.MAT
    assert (settings.device, settings.log_level) == ("cuda", "warning")
    assert (settings.text_removal_max_side_px, settings.text_removal_timeout_s) == (2048, 300.0)
    assert settings.allowed_origins == ("https://a.example", "https://b.example")


def test_a_model_that_does_not_exist_is_refused_at_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "safelight", "serve", "--listen", "0=text_removal", "--data-dir", str(tmp_path)]
    environment = {"PATH": "/usr/bin", "IOPAINT_MODEL": "dalle", "SAFELIGHT_ENGINE": "fake", "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "text_removal_model" in done.stderr
