"""Where the packaged weights are, for the tests that need them."""

import os
from pathlib import Path

import pytest

from engine.models.catalogue import default_names, find
from engine.models.files import is_present


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder with every default model; the test is skipped where there is none."""
    folder = Path(os.environ.get("SAFELIGHT_MODELS_DIR") or Path.home() / ".cache" / "safelight" / "models")
    missing = [name for name in default_names() if not is_present(find(name), folder)]
    if missing:
        pytest.skip(f"not in {folder}: {', '.join(missing)}; run `safelight models pull`")
    return folder
