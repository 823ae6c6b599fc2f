"""Five hundred generations that switch between models leave the process as large as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.diffusion.quiet import quieten
from tests.integration.viewers import finished, submit
from tests.servers import MODELS_DIR, ThreadServer, thread_server

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.timeout(1800)]

JOBS = 500
WARM_UP = 60
"""Jobs before the first look: libraries, caches and the allocator have what they need by then."""
MOST_DRIFT = 0.05


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    quieten()
    from tests import tiny_models

    folder = tmp_path_factory.mktemp("other-program")
    tiny_models.make_sd1().save_pretrained(folder / "first")
    tiny_models.make_sdxl().save_pretrained(folder / "second")
    # Room for one of them: each switch drops the other.
    options = {"models_dir": MODELS_DIR, "model_folders": [folder], "model_budget_bytes": 1}
    with thread_server(tmp_path_factory.mktemp("data"), engine="torch", **options) as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def make(http: httpx.Client, number: int) -> None:
    params = {
        "prompt": f"picture {number}",
        "model": ("first", "second")[number % 2],
        "steps": 2,
        "seed": number,
        "scheduler": ("euler", "dpmpp_2m", "ddim")[number % 3],
    }
    job = submit(http, "text_to_image", params=params, previews="all")
    assert finished(http, job["id"])["status"] == "succeeded"


def test_five_hundred_jobs_with_model_switches_leave_no_memory_behind(http: httpx.Client) -> None:
    for number in range(WARM_UP):
        make(http, number)
    before = resident_bytes()
    for number in range(WARM_UP, WARM_UP + JOBS):
        make(http, number)
    grown = resident_bytes() / before - 1
    assert grown < MOST_DRIFT, f"grew by {grown:.1%} from {before >> 20} MiB"
