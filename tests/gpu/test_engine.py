"""What the engine promises on a GPU, whatever the model."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.interface import Call, Where
from protocol.events import JobStarted, ModelLoaded
from protocol.requests import TaskName
from tests.gpu.card import Card, Work, drive, loaded_backend, pixels

pytestmark = pytest.mark.gpu

MIB = 1 << 20


@pytest.fixture
def mixture(grain: Path, scene: Path) -> list[tuple[Work, bool]]:
    """Work of every kind that uses the device, and whether it is batch work."""
    hole = {"regions": [{"x": 20, "y": 20, "width": 12, "height": 9}], "seed": 1}
    return [
        (Work(TaskName.UPSCALE, {"model": "compact", "tile_px": 40}, grain), True),
        (Work(TaskName.REMOVE_BACKGROUND, {"result": "mask"}, scene), True),
        (Work(TaskName.UPSCALE, {"model": "compact", "tile_px": 64}, scene), True),
        (Work(TaskName.SEGMENT, {"points": [{"x": 144.0, "y": 125.0}]}, scene), False),
        (Work(TaskName.SEGMENT, {"points": [{"x": 40.0, "y": 40.0}]}, grain), False),
        (Work(TaskName.ERASE, hole, grain), False),
    ]


def test_a_job_names_the_gpu_it_runs_on(card: Card, cuda: torch.device, scene: Path) -> None:
    job_id = card.submit(Work(TaskName.SEGMENT, {"points": [{"x": 144.0, "y": 125.0}]}, scene))
    card.wait_end(job_id)
    named = card.sink.one(job_id, JobStarted).device
    assert re.fullmatch(r"cuda:\d+", named)
    assert named == card.executor.state().device == str(cuda)
    assert [body.device for body in card.told_of_models if isinstance(body, ModelLoaded)] == [named]


def test_the_memory_budget_fits_the_gpu(card: Card, cuda: torch.device) -> None:
    _, total_bytes = torch.cuda.mem_get_info(cuda)
    assert 0 < card.executor.state().budget_bytes <= total_bytes


def test_jobs_that_share_the_gpu_give_what_each_gives_alone(card: Card, mixture: list[tuple[Work, bool]]) -> None:
    alone = [pixels(card.make(work)) for work, _ in mixture]
    job_ids = [card.submit(work, is_batch=is_batch) for work, is_batch in mixture]
    card.wait_end(*job_ids)
    for (work, _), job_id, expected in zip(mixture, job_ids, alone, strict=True):
        apart = np.abs(pixels(card.result(job_id)) - expected)
        # A library may take another way to the same sum; a mask's edge then moves by a pixel here and there.
        assert (apart > 2).mean() < 0.001, work.task


def test_no_device_call_comes_back_while_the_gpu_still_works(
    cuda: torch.device, models_dir: Path, mixture: list[tuple[Work, bool]]
) -> None:
    busy_after: list[str] = []

    def look(call: Call) -> None:
        if call.where is Where.DEVICE and not torch.cuda.current_stream(cuda).query():
            busy_after.append(call.stage)

    with loaded_backend(str(cuda), models_dir) as backend:
        for work, _ in mixture:
            drive(backend, work, look)
    assert busy_after == []


def test_memory_is_given_back_when_it_is_asked_for(cuda: torch.device, models_dir: Path, grain: Path) -> None:
    with loaded_backend(str(cuda), models_dir) as backend:
        backend.free_memory()
        before = torch.cuda.memory_reserved(cuda)
        drive(backend, Work(TaskName.UPSCALE, {"model": "x4plus"}, grain))
        assert torch.cuda.memory_reserved(cuda) > before + 64 * MIB
        backend.free_memory()
        assert torch.cuda.memory_reserved(cuda) < before + 16 * MIB


def test_nothing_stays_on_the_gpu_after_the_engine_has_stopped(
    cuda: torch.device, models_dir: Path, grain: Path
) -> None:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(cuda)
    with loaded_backend(str(cuda), models_dir) as backend:
        drive(backend, Work(TaskName.UPSCALE, {"model": "x4plus"}, grain))
        assert torch.cuda.memory_allocated(cuda) > before + 16 * MIB
    assert torch.cuda.memory_allocated(cuda) < before + 16 * MIB
