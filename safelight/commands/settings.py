"""The settings of a server on this machine, running or not."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.commands.failing import fail

if TYPE_CHECKING:
    from service.settings import Settings


def models_folder(config: Path | None, flag: Path | None) -> Path:
    """Where its model files are."""
    return load_settings(config, {"models_dir": flag}).models_dir


def data_folder(config: Path | None, flag: Path | None) -> Path:
    """Where its database and pictures are."""
    return load_settings(config, {"data_dir": flag}).data_dir


def load_settings(config: Path | None, flags: Mapping[str, object]) -> "Settings":
    """Read the file, the environment and the flags; ends the command with 2 where they cannot be used.

    Args:
        flags: by the names of the settings; those that are None were not given.
    """
    return _load(config, flags, {})


def load_server_settings(config: Path | None, flags: Mapping[str, object]) -> "Settings":
    """As `load_settings`, with the variables of those services whose profiles are on."""
    from service.foreign_environment import foreign_settings

    settings = load_settings(config, flags)
    foreign = foreign_settings(settings, os.environ)
    return _load(config, flags, foreign) if foreign else settings


def _load(config: Path | None, flags: Mapping[str, object], foreign: Mapping[str, Any]) -> "Settings":
    from service import settings

    try:
        return settings.load(config, {name: value for name, value in flags.items() if value is not None}, foreign)
    except settings.SettingsError as error:
        fail(str(error), 2)
