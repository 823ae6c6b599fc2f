"""Five hundred generations that switch between models and between LoRAs leave the process as large as it was.

Not all of what is left is ours: safetensors 0.8 keeps two integers for each tensor that is read through `safe_open`, 30
kB for one of these models. Real ones have as many tensors and a thousand times the bytes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
MODELS = ("first", "second")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    quieten()
    from safetensors.torch import save_file

    from tests import tiny_adapters, tiny_models

    folder = tmp_path_factory.mktemp("other-program")
    (folder / "loras").mkdir()
    for name, model in zip(MODELS, (tiny_models.make_sd1(), tiny_models.make_sdxl()), strict=True):
        model.save_pretrained(folder / name)
        save_file(tiny_adapters.kohya_lora(model), folder / "loras" / f"{name}-kohya.safetensors")
        save_file(tiny_adapters.diffusers_lora(model, seed=7), folder / "loras" / f"{name}-diffusers.safetensors")
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


def loras(model: str, number: int) -> list[dict[str, Any]]:
    """None, one of either layout, both; each comes and goes again and again, with other weights."""
    kohya = {"name": f"{model}-kohya", "weight": 0.5 + number % 3 / 4}
    diffusers = {"name": f"{model}-diffusers", "weight": 0.5}
    return [[], [kohya], [diffusers], [kohya, diffusers]][(number // 4 + number % 2) % 4]


def make(http: httpx.Client, number: int) -> None:
    model = MODELS[number // 2 % 2]  # two jobs each, so that one finds the LoRAs of the other over its model
    params = {
        "prompt": f"picture {number}",
        "model": model,
        "loras": loras(model, number),
        "steps": 2,
        "seed": number,
        "scheduler": ("euler", "dpmpp_2m", "ddim")[number % 3],
    }
    job = submit(http, "text_to_image", params=params, previews="all")
    ended = finished(http, job["id"])
    assert ended["status"] == "succeeded", ended


def test_five_hundred_jobs_with_model_and_lora_switches_leave_no_memory_behind(http: httpx.Client) -> None:
    for number in range(WARM_UP):
        make(http, number)
    before = resident_bytes()
    for number in range(WARM_UP, WARM_UP + JOBS):
        make(http, number)
    grown = resident_bytes() / before - 1
    assert grown < MOST_DRIFT, f"grew by {grown:.1%} from {before >> 20} MiB"
