"""Upscaling in half precision on a GPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from protocol.errors import ErrorCode
from protocol.events import JobCancelled, JobFailed, ModelUnloaded, StepFinished
from protocol.requests import Previews, TaskName
from tests.gpu.card import JOB_DEADLINE_S, Canceller, Cap, Card, Work, card_on, on_cpu, pixels
from tests.unit.engine.pictures import save, texture

pytestmark = pytest.mark.gpu

MIB = 1 << 20


def upscale(image: Path, **params: object) -> Work:
    return Work(TaskName.UPSCALE, {"factor": 4.0, **params}, image)


@pytest.mark.parametrize("model", ["compact", "x4plus", "x4plus-anime"])
def test_half_precision_gives_the_picture_of_the_cpu(card: Card, models_dir: Path, grain: Path, model: str) -> None:
    work = upscale(grain, model=model)
    expected = pixels(on_cpu(models_dir, work).outputs[0].content)
    apart = np.abs(pixels(card.make(work)) - expected)
    assert apart.mean() < 0.5
    assert np.quantile(apart, 0.999) <= 4


@pytest.mark.parametrize(("model", "mean"), [("compact", 0.1), ("x4plus", 1.0)])
def test_tiles_leave_no_seam(card: Card, grain: Path, model: str, mean: float) -> None:
    whole, tiled = (pixels(card.make(upscale(grain, model=model, tile_px=side))) for side in (2048, 40))
    apart = np.abs(tiled - whole)
    assert apart.mean() < mean
    # Steps from pixel to pixel across the borders of tiles are no larger than anywhere.
    steps = np.abs(np.diff(tiled - whole, axis=1)).mean(axis=(0, 2))
    assert steps.max() < 4 * max(float(steps.mean()), 0.1)


def test_auto_is_the_large_model(card: Card, cuda: torch.device, grain: Path) -> None:
    job_id = card.submit(upscale(grain))
    card.wait_end(job_id)
    assert card.data(job_id)[0]["model"] == "x4plus"


def test_previews_come_while_tiles_are_made(card: Card, grain: Path) -> None:
    job_id = card.submit(upscale(grain, model="compact", tile_px=40), previews=Previews.ALL)
    card.wait_end(job_id)
    types = card.sink.types(job_id)
    assert types.count("step.finished") == 6
    assert "preview.ready" in types


def test_a_tile_that_does_not_fit_the_gpu_is_cut_smaller(card: Card, cap: Cap, tmp_path: Path) -> None:
    work = upscale(save(tmp_path / "in.png", texture(384, 384)), model="x4plus", tile_px=384)
    expected = pixels(card.make(work))
    cap(450 * MIB)  # two layers of the last stage take 600
    job_id = card.submit(work)
    card.wait_end(job_id)
    made = pixels(card.result(job_id))
    steps = [body.steps for body in card.sink.of(job_id) if isinstance(body, StepFinished)]
    assert steps[-1] >= 4
    assert len(steps) == steps[-1]
    assert ModelUnloaded(model="realesrgan-x4plus", reason="a job ran out of memory") in card.told_of_models
    assert np.abs(made - expected).mean() < 1


def test_a_job_that_never_fits_fails_and_the_next_one_runs(card: Card, cap: Cap, grain: Path) -> None:
    work = upscale(grain, model="x4plus")
    card.make(work)
    cap(8 * MIB)
    job_id = card.submit(work)
    card.wait_end(job_id)
    assert card.sink.one(job_id, JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    cap(8 << 30)
    card.make(work)


def test_a_cancel_lands_within_one_step(device: str, models_dir: Path, grain: Path) -> None:
    sink = Canceller()
    with card_on(device, models_dir, sink) as card:
        sink.cancel = lambda job_id: card.executor.cancel(job_id, "changed my mind")
        job_id = card.submit(upscale(grain, model="compact", tile_px=32))
        sink.wait_end(job_id, deadline_s=JOB_DEADLINE_S)
    assert sink.one(job_id, JobCancelled).reason == "changed my mind"
    assert sink.types(job_id).count("step.finished") <= 2
