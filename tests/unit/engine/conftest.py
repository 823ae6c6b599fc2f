"""Where the packaged weights are, for the tests that need them."""

from pathlib import Path

import pytest

from engine.models.catalogue import default_names, find
from engine.models.files import is_present
from tests.servers import MODELS_DIR


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder with every default model; the test is skipped where there is none."""
    missing = [name for name in default_names() if not is_present(find(name), MODELS_DIR)]
    if missing:
        pytest.skip(f"not in {MODELS_DIR}: {', '.join(missing)}; run `safelight models pull`")
    return MODELS_DIR
