"""The settings of a server on this machine, running or not."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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
    from service import settings

    try:
        return settings.load(config, {name: value for name, value in flags.items() if value is not None})
    except settings.SettingsError as error:
        fail(str(error), 2)
