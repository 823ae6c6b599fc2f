"""Where the tests of this folder run. All need the packaged weights; all are skipped where there is no GPU."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.gpu.card import Cap, Card, card_on
from tests.unit.engine.conftest import models_dir  # noqa: F401 - a fixture
from tests.unit.engine.networks import ball
from tests.unit.engine.pictures import save, texture


@pytest.fixture(scope="session")
def device() -> str:
    """The device under test; `SAFELIGHT_TEST_DEVICE=cpu` rehearses what needs no CUDA itself."""
    named = os.environ.get("SAFELIGHT_TEST_DEVICE", "cuda")
    if named.startswith("cuda") and not torch.cuda.is_available():
        build = f"torch {torch.__version__}" + (" has no CUDA" if torch.version.cuda is None else " finds no GPU")
        pytest.skip(f"needs a CUDA device: {build}")
    return named


@pytest.fixture(scope="session")
def cuda(device: str) -> torch.device:
    """The GPU, for tests that ask CUDA itself."""
    if not device.startswith("cuda"):
        pytest.skip(f"needs a CUDA device, SAFELIGHT_TEST_DEVICE is {device}")
    return torch.zeros(1, device=device).device


@pytest.fixture
def card(device: str, models_dir: Path) -> Iterator[Card]:  # noqa: F811 - the fixture above
    with card_on(device, models_dir) as made:
        yield made


@pytest.fixture
def grain(tmp_path: Path) -> Path:
    """A picture of 112 x 80 px with detail everywhere."""
    return save(tmp_path / "grain.png", texture(80, 112))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A picture of 320 x 240 px: an orange ball on a wall."""
    return save(tmp_path / "ball.png", ball()[0])


@pytest.fixture
def cap(cuda: torch.device) -> Iterator[Cap]:
    """Lets torch have so many more bytes of the GPU than it has in use now."""

    def limit(more_bytes: int) -> None:
        torch.cuda.empty_cache()
        _, total_bytes = torch.cuda.mem_get_info(cuda)
        allowed_bytes = torch.cuda.memory_reserved(cuda) + more_bytes
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed_bytes / total_bytes), cuda)

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0, cuda)
