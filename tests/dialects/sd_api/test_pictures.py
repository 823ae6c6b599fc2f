"""Pictures of the real engine, on a small model of the kind this service serves: what is asked for is to be seen."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from service.dialects.sd_api.schedulers import Scheduler
from tests.dialects.jobs import ended
from tests.dialects.pictures import opened, png
from tests.dialects.sd_api.callers import asked, begin, data_url, shown
from tests.dialects.sd_api.conftest import PROFILE
from tests.servers import thread_server

Pixels = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One of a server with one model and one LoRA."""
    pytest.importorskip("diffusers")
    from safetensors.torch import save_file

    from engine.diffusion.quiet import quieten

    quieten()
    from tests.tiny_adapters import kohya_lora
    from tests.tiny_models import make_sd1

    folder = tmp_path_factory.mktemp("pictures")
    models, pipeline = folder / "models", make_sd1()
    pipeline.save_pretrained(models / "checkpoints" / "tiny")
    (models / "loras").mkdir()
    save_file(kohya_lora(pipeline), models / "loras" / "mine.safetensors")
    settings = {"engine": "torch", "device": "cpu", "cpu_threads": 1, "model_folders": [models]}
    chosen = {**settings, "models_dir": folder / "own", "default_model": "tiny", "listen": PROFILE}
    with thread_server(folder / "data", **chosen) as server, server.client() as client:
        yield client


def made(client: httpx.Client, **fields: Any) -> tuple[Pixels, dict[str, Any]]:
    """The picture of a request with a seed, (H, W, 3), and our job of it."""
    task_id = begin(client, **{"seed": 7, "height": 64, **fields})
    job = ended(client, task_id)
    assert job["status"] == "succeeded", job["error"]
    return np.asarray(opened(client.get(shown(client, task_id)["result_url"]).content).convert("RGB"), np.int16), job


def test_each_scheduler_is_run_and_none_is_another(client: httpx.Client) -> None:
    pictures = {name: made(client, scheduler=name.value, num_inference_steps=4)[0].tobytes() for name in Scheduler}
    assert len(set(pictures.values())) == len(Scheduler) == 9


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "a dog"},
        {"negative_prompt": "blurry"},
        {"guidance_scale": 12.0},
        {"num_inference_steps": 5},
        {"seed": 8},
        {"scheduler": "EulerDiscreteScheduler"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_field_changes_the_picture(client: httpx.Client, changed: dict[str, Any]) -> None:
    plain, _ = made(client)
    again, _ = made(client)
    other, _ = made(client, **changed)
    assert np.array_equal(plain, again)
    assert not np.array_equal(plain, other)


def test_size_and_steps_are_those_that_were_asked_for(client: httpx.Client) -> None:
    picture, job = made(client, width=96, height=32, num_inference_steps=3)
    assert picture.shape == (32, 96, 3)
    assert job["outputs"][0]["data"]["steps"] == 3


def test_strength_says_how_far_a_picture_may_change(client: httpx.Client) -> None:
    fields = {"init_image": data_url(png(64, 64)), "num_inference_steps": 10, "width": None, "height": None}
    # What the model itself makes of the picture, without a change: its VAE is as small as it is bad.
    kept, little, much = (made(client, strength=strength, **fields)[0] for strength in (0.0, 0.3, 0.9))
    assert 0 < np.abs(little - kept).mean() < np.abs(much - kept).mean()


def test_loras_are_named_in_the_prompt(client: httpx.Client) -> None:
    plain, _ = made(client)
    laid, _ = made(client, prompt=f"{asked()['prompt']} <lora:mine:1>")
    assert not np.array_equal(plain, laid)
