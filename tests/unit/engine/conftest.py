"""What tests of the engine share: a running executor, and where the packaged weights are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.models.catalogue import default_names, find
from engine.models.files import is_present
from tests.servers import MODELS_DIR
from tests.unit.engine.workbench import ADAPTERS, Bench, TinyBackend, bench


@pytest.fixture(params=sorted(ADAPTERS))
def backend(request: pytest.FixtureRequest) -> TinyBackend:
    """For jobs that are generators, and for greenlets of the same work."""
    return TinyBackend(ADAPTERS[request.param])


@pytest.fixture
def table(backend: TinyBackend) -> Iterator[Bench]:
    with bench(backend) as made:
        yield made


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder with every default model; the test is skipped where there is none."""
    missing = [name for name in default_names() if not is_present(find(name), MODELS_DIR)]
    if missing:
        pytest.skip(f"not in {MODELS_DIR}: {', '.join(missing)}; run `safelight models pull`")
    return MODELS_DIR
