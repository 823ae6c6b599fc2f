"""Every benchmark runs, with tiny numbers, and says what it compared. The figures themselves are `make bench`'s."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import fanout, first_event, latency, memory, null_jobs, pictures, poll, start
from bench.__main__ import BENCHMARKS
from bench.measure import Measure

TINY: dict[str, Callable[[], list[Measure]]] = {
    "start": lambda: start.run(quick=True, rounds=1),
    "memory": lambda: memory.run(quick=True, count=100),
    "first_event": lambda: first_event.run(quick=True, jobs=5),
    "null_jobs": lambda: null_jobs.run(quick=True, seconds=0.05, backlog=30),
    "poll": lambda: poll.run(quick=True, count=500, polls=10),
    "latency": lambda: latency.run(quick=True, count=4, steps=3),
    "fanout": lambda: fanout.run(quick=True, sizes=((4, 10),), steps=5),
    "pictures": lambda: pictures.run(quick=True, folder=tiny_model(), steps=2, rounds=1),
}


def tiny_model() -> Path:
    from tests.tiny_models import make_sd1

    folder = Path(tempfile.mkdtemp(prefix="safelight-tiny-")) / "tiny"
    make_sd1().save_pretrained(folder)
    return folder


def test_every_benchmark_has_a_tiny_run():
    assert set(TINY) == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_compares_ours_with_a_reference(name):
    measures = TINY[name]()
    assert measures
    for measure in measures:
        assert measure.against
        assert math.isfinite(measure.ours)
        assert math.isfinite(measure.reference)
        assert measure.ratio > 0
