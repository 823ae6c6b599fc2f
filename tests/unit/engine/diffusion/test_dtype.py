"""The precision is what was measured to be clearly faster, and float32 in every case of doubt."""

import itertools
import time

import pytest
import torch

from engine.diffusion import dtype as dtypes
from engine.diffusion.dtype import Trial, best_dtype, choose, tried
from engine.library.records import Family

SLOW, FAST = Trial(1.0, 1.0), Trial(0.1, 0.1)
FULL, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ({FULL: SLOW, HALF: FAST, BRAIN: FAST}, HALF),
        ({FULL: FAST, HALF: SLOW, BRAIN: SLOW}, FULL),
        ({FULL: SLOW, BRAIN: FAST}, BRAIN),
        ({FULL: SLOW, HALF: Trial(0.9, 0.9), BRAIN: FAST}, BRAIN),
        ({FULL: SLOW, HALF: Trial(0.9, 0.9)}, FULL),
        ({FULL: SLOW, BRAIN: Trial(0.1, 1.0)}, FULL),
        ({FULL: SLOW, BRAIN: Trial(1.0, 0.1)}, FULL),
        ({FULL: SLOW}, FULL),
    ],
)
def test_the_precision_that_is_clearly_faster_at_both_kernels_is_taken(
    trials: dict[torch.dtype, Trial], best: torch.dtype
) -> None:
    assert choose(trials, worth=1.3) is best


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, Trial | None]:
    """What the device is taken to need; to be filled by the test."""
    trials: dict[torch.dtype, Trial | None] = {}
    monkeypatch.setattr(dtypes, "tried", lambda _device, dtype: trials[dtype])
    monkeypatch.setattr(dtypes, "_measured", dtypes._measured.__wrapped__)
    return trials


def test_a_cpu_that_emulates_bfloat16_gets_float32(measured: dict[torch.dtype, Trial | None]) -> None:
    measured.update({FULL: FAST, BRAIN: SLOW})
    assert best_dtype(torch.device("cpu")) is FULL


def test_a_cpu_must_be_three_times_faster_to_give_up_accuracy(measured: dict[torch.dtype, Trial | None]) -> None:
    measured.update({FULL: Trial(2.9, 9.0), BRAIN: Trial(1.0, 1.0)})
    assert best_dtype(torch.device("cpu")) is FULL
    measured[FULL] = Trial(3.1, 9.0)
    assert best_dtype(torch.device("cpu")) is BRAIN


def test_what_else_the_machine_does_for_a_moment_chooses_no_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a request would give another picture after a restart."""
    needed = {FULL: [SLOW, Trial(0.15, 0.15), SLOW], BRAIN: [FAST, FAST, SLOW]}
    turns = {dtype: itertools.cycle(trials) for dtype, trials in needed.items()}
    monkeypatch.setattr(dtypes, "tried", lambda _device, dtype: next(turns[dtype]))
    monkeypatch.setattr(dtypes, "_measured", dtypes._measured.__wrapped__)
    assert best_dtype(torch.device("cpu")) is FULL


def test_a_gpu_gets_float16_except_for_families_that_leave_its_range(
    measured: dict[torch.dtype, Trial | None],
) -> None:
    measured.update({FULL: SLOW, HALF: FAST, BRAIN: FAST})
    gpu = torch.device("cuda:0")
    assert best_dtype(gpu) is best_dtype(gpu, Family.SDXL) is HALF
    assert best_dtype(gpu, Family.FLUX) is best_dtype(gpu, Family.SD3) is BRAIN


def test_a_gpu_that_cannot_calculate_in_a_precision_gets_another(measured: dict[torch.dtype, Trial | None]) -> None:
    measured.update({FULL: SLOW, HALF: None, BRAIN: None})
    assert best_dtype(torch.device("cuda:0")) is FULL


def test_this_machine_is_measured_once_and_shortly() -> None:
    cpu = torch.device("cpu")
    first = best_dtype(cpu)
    assert first in {FULL, BRAIN}
    begun = time.perf_counter()
    assert best_dtype(cpu) is first
    assert time.perf_counter() - begun < 0.005


def test_a_trial_takes_as_long_as_the_device_does() -> None:
    trial = tried(torch.device("cpu"), FULL)
    assert trial is not None
    assert 0 < trial.product_s < 5
    assert 0 < trial.convolution_s < 5


def test_a_precision_the_device_cannot_calculate_in_has_no_trial() -> None:
    assert tried(torch.device("cpu"), torch.float8_e4m3fn) is None
