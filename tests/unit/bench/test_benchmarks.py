"""Every benchmark runs, with tiny numbers, and says what it compared. The figures themselves are `make bench`'s."""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench import (
    cluster,
    fanout,
    first_event,
    inpainting,
    latency,
    memory,
    null_jobs,
    page,
    pictures,
    poll,
    previews,
    start,
    steps,
    switching,
    throughput,
    waiting,
)
from bench.__main__ import BENCHMARKS
from bench.measure import Measure, Skipped
from tests.servers import REPOSITORY

TINY: dict[str, Callable[[], list[Measure]]] = {
    "start": lambda: start.run(quick=True, rounds=1),
    "memory": lambda: memory.run(quick=True, count=100),
    "first_event": lambda: first_event.run(quick=True, jobs=5),
    "null_jobs": lambda: null_jobs.run(quick=True, seconds=0.1, backlog=30),
    "poll": lambda: poll.run(quick=True, count=500, polls=10),
    "page": lambda: page.run(quick=True, steps=100, jobs=20, idle_ms=100),
    "waiting": lambda: waiting.run(quick=True, clients=4, pings=10),
    "latency": lambda: latency.run(quick=True, count=4, steps=3),
    "fanout": lambda: fanout.run(quick=True, sizes=((4, 10),), steps=5),
    "pictures": lambda: pictures.run(quick=True, folder=tiny_model(), steps=2, rounds=1),
    "steps": lambda: steps.run(quick=True, folder=tiny_model(), steps=3, rounds=1),
    "previews": lambda: previews.run(quick=True, folder=tiny_model(), steps=3, rounds=1),
    "inpainting": lambda: inpainting.run(quick=True, sides=(64,), rounds=1),
    "switching": lambda: switching.run(quick=True, folder=tiny_model(), rounds=2),
    "throughput": lambda: throughput.run(quick=True, tiny=True, steps=2, counts=(1, 2)),
    "cluster": lambda: cluster.run(quick=True, counts=(1, 2), seconds=0.2, jobs=2, steps=5, crowd=2, rounds=1),
}


def tiny_model() -> Path:
    from tests.tiny_models import make_sd1

    folder = Path(tempfile.mkdtemp(prefix="safelight-tiny-")) / "tiny"
    make_sd1().save_pretrained(folder)
    return folder


def test_every_benchmark_has_a_tiny_run():
    assert set(TINY) == set(BENCHMARKS)


SLOW = {"cluster", "inpainting", "memory", "page", "pictures", "throughput"}
"""They take ten seconds or more, or look at the memory of a machine that does nothing else."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BENCHMARKS]
)
def test_a_benchmark_compares_ours_with_a_reference(name):
    measures = TINY[name]()
    assert measures
    for measure in measures:
        assert measure.against
        assert math.isfinite(measure.ours)
        assert math.isfinite(measure.reference)
        assert measure.ratio > 0


def test_pictures_of_real_sizes_are_not_made_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Skipped, match="needs a CUDA device"):
        throughput.run()


def test_what_is_skipped_is_said_and_is_no_goal_missed():
    command = [sys.executable, "-m", "bench", "throughput"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert "throughput: skipped, it needs a CUDA device" in ran.stdout
    assert "0 of 0 goals met" in ran.stdout
