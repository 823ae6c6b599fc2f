"""Segmenting on a GPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol.events import JobSucceeded, OutputReady
from protocol.requests import TaskName
from tests.gpu.card import Card, Work, on_cpu, pixels
from tests.unit.engine.networks import ball, overlap
from tests.unit.engine.pictures import save, texture

pytestmark = pytest.mark.gpu

INSIDE = {"x": 144.0, "y": 125.0}
PROMPTS: dict[str, dict[str, Any]] = {
    "click": {"points": [INSIDE]},
    "clicks": {"points": [INSIDE, {"x": 10.0, "y": 10.0, "include": False}]},
    "box": {"box": {"x": 60, "y": 45, "width": 165, "height": 165}},
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_mask_is_that_of_the_cpu(card: Card, models_dir: Path, scene: Path, prompt: str) -> None:
    work = Work(TaskName.SEGMENT, {**PROMPTS[prompt], "count": 2}, scene)
    expected = on_cpu(models_dir, work)
    job_id = card.submit(work)
    card.wait_end(job_id)
    masks = [pixels(card.result(job_id, index)) > 127 for index in (0, 1)]
    assert overlap(masks[0], ball()[1]) > 0.95
    for index, (mask, told) in enumerate(zip(masks, card.data(job_id), strict=True)):
        assert overlap(mask, pixels(expected.outputs[index].content) > 127) > 0.98
        assert told["score"] == pytest.approx(expected.of_type(OutputReady)[index].data["score"], abs=0.02)


def test_a_second_click_is_answered_from_the_embedding_kept_on_the_gpu(card: Card, scene: Path) -> None:
    timings = []
    for prompt in ("click", "box"):
        job_id = card.submit(Work(TaskName.SEGMENT, PROMPTS[prompt], scene))
        card.wait_end(job_id)
        timings.append(card.sink.one(job_id, JobSucceeded).timings)
    first, again = timings
    assert "embed" in first
    assert "embed" not in again


def test_a_very_long_picture_can_be_segmented(card: Card, tmp_path: Path) -> None:
    long = np.tile(texture(40, 500), (1, 24, 1))
    work = Work(TaskName.SEGMENT, {"points": [{"x": 6000.0, "y": 20.0}]}, save(tmp_path / "long.png", long))
    assert pixels(card.make(work)).shape == (40, 12_000)
