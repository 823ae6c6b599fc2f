"""Installations of Fooocus among folders: the program's own folder, or the `models` folder in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.library.foreign_paths import is_fooocus_config

MODELS: Final = "models"
APART: Final = frozenset(
    {"clip_interrogator", "configs", "inpaint", "llms", "prompt_expansion", "safety_checker", "sam", "vae_approx"}
)
"""Subfolders of its models with files for one purpose of Fooocus' own, none of which a request could name."""


def home_of(path: Path) -> Path | None:
    """The installation that a folder is, or whose models it holds; None if it is neither."""
    return path if _is_home(path) else home_of_models(path)


def home_of_models(path: Path) -> Path | None:
    """The installation whose models a folder holds."""
    return path.parent if path.name.casefold() == MODELS and _is_home(path.parent) else None


def homes(folders: Sequence[Path]) -> Sequence[Path]:
    """The installations among some folders, each once, in their order."""
    found = (home_of(folder) for folder in folders)
    return list(dict.fromkeys(home for home in found if home is not None))


def _is_home(path: Path) -> bool:
    if (path / "fooocus_version.py").is_file() or (path / MODELS / "prompt_expansion").is_dir():
        return True
    return is_fooocus_config(path / "config.txt")
