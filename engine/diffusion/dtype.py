"""Which precision models are loaded in: the one this device is measured to be clearly fastest in."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import torch
from torch.nn import functional

from engine.library.records import Family

_ROUNDS: Final = 6
"""The precisions take turns, and the best of each counts: what else the machine does for a moment hits one of them."""
_TRIAL_S: Final = 0.002
"""For each of two kernels in each precision and round, once warm."""
_MATRIX: Final = 256
_CHANNELS: Final = 64
_SIDE: Final = 32
_WORTH_ON_CPU: Final = 3.0
"""How many times faster a half precision must be, at both kernels. It costs accuracy; and where the two are close, a
busy machine would choose now one and now the other, and the same request would give another picture after a restart."""
_WORTH_ON_GPU: Final = 1.3
"""On a GPU it halves the memory as well."""
_OVERFLOWS: Final = frozenset({Family.FLUX, Family.SD3, Family.OTHER})
"""Their text encoders leave the range of float16."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Seconds that one product of matrices and one convolution took."""

    product_s: float
    convolution_s: float

    def is_faster(self, other: "Trial", times: float) -> bool:
        """Whether each took less than the other's by this factor."""
        return self.product_s * times < other.product_s and self.convolution_s * times < other.convolution_s

    def best(self, other: "Trial") -> "Trial":
        """The lesser times of both."""
        return Trial(min(self.product_s, other.product_s), min(self.convolution_s, other.convolution_s))


def best_dtype(device: torch.device, family: Family | None = None) -> torch.dtype:
    """The precision for denoisers and text encoders on this device. For the executor thread.

    Measured once per process and device, in about 50 ms. On a CPU without units for bfloat16 that precision is
    emulated, 15 to 29 times slower, whatever the libraries say is supported; float16 is never taken there.

    Args:
        family: of a model; some leave the range of float16 and get bfloat16 instead.
    """
    best = _measured(device)
    return torch.bfloat16 if best is torch.float16 and family in _OVERFLOWS else best


@cache
def _measured(device: torch.device) -> torch.dtype:
    is_cpu = device.type == "cpu"
    # Weights are published in float16, hence before bfloat16.
    halves = (torch.bfloat16,) if is_cpu else (torch.float16, torch.bfloat16)
    trials: dict[torch.dtype, Trial] = {}
    for _ in range(_ROUNDS):
        for dtype in (torch.float32, *halves):
            if (trial := tried(device, dtype)) is not None:
                trials[dtype] = trial.best(trials.get(dtype, trial))
    return choose(trials, worth=_WORTH_ON_CPU if is_cpu else _WORTH_ON_GPU)


def choose(trials: Mapping[torch.dtype, Trial], *, worth: float) -> torch.dtype:
    """The first precision until a later one is faster by the factor `worth`.

    Args:
        trials: float32 first, then the halves in order of preference.
    """
    best = torch.float32
    for dtype, trial in trials.items():
        if trial.is_faster(trials[best], worth):
            best = dtype
    return best


def tried(device: torch.device, dtype: torch.dtype) -> Trial | None:
    """How fast the device is in this precision; None if it cannot calculate in it."""
    try:
        matrix = torch.ones(_MATRIX, _MATRIX, device=device, dtype=dtype)
        picture = torch.ones(1, _CHANNELS, _SIDE, _SIDE, device=device, dtype=dtype)
        kernel = torch.ones(_CHANNELS, _CHANNELS, 3, 3, device=device, dtype=dtype)
        return Trial(
            product_s=_quickest(device, lambda: torch.mm(matrix, matrix)),
            convolution_s=_quickest(device, lambda: functional.conv2d(picture, kernel, padding=1)),
        )
    except RuntimeError:
        return None


def _quickest(device: torch.device, work: Callable[[], object]) -> float:
    _seconds(device, work)  # the first call chooses kernels and makes workspaces
    end, best = time.perf_counter() + _TRIAL_S, float("inf")
    while True:
        best = min(best, _seconds(device, work))
        if time.perf_counter() >= end:
            return best


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun
