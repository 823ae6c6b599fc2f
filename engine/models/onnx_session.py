"""ONNX files as sessions of onnxruntime, on the CPU or on CUDA."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import numpy as np
import structlog
from numpy.typing import NDArray

logger = structlog.get_logger(__name__)

_THREADS: Final = 2
_ERRORS_ONLY: Final = 3
_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[Any]: ...

    def get_inputs(self) -> Sequence[Any]: ...

    def get_providers(self) -> Sequence[str]: ...


def open_session(model: Path | bytes, device: str) -> Session:
    """Load a model.

    Args:
        model: a file, or the content of one.
        device: on `cuda:N` that GPU is used, if this onnxruntime can; else the CPU, which the log tells.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    options.inter_op_num_threads = 1
    # The arena keeps what a run needed at its peak, hundreds of megabytes, for ever.
    options.enable_cpu_mem_arena = False
    # It warns of every weight that old exporters list among the inputs.
    options.log_severity_level = _ERRORS_ONLY
    source = str(model) if isinstance(model, Path) else model
    providers = _providers(device, onnxruntime.get_available_providers())
    session = cast("Session", onnxruntime.InferenceSession(source, options, providers=providers))
    # A provider that cannot be loaded, for want of a library of CUDA, is left out without an error.
    if device.startswith("cuda") and _CUDA not in session.get_providers():
        advice = "install onnxruntime-gpu instead of onnxruntime, of the CUDA version of torch; see docs/gpu.md"
        logger.warning("onnx.runs_on_cpu", device=device, providers=list(session.get_providers()), advice=advice)
    return session


def _providers(device: str, available: Sequence[str]) -> list[str | tuple[str, dict[str, str]]]:
    """What onnxruntime is to run a model on, the first that can."""
    if not device.startswith("cuda") or _CUDA not in available:
        return [_CPU]
    _, _, number = device.partition(":")
    options = {
        "device_id": number or "0",
        # By default it tries every way to convolve at the first run, in seconds and much memory, and the fastest of
        # that moment wins: results would differ from one start to the next.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Torch needs the rest: by default the arena doubles each time.
        "arena_extend_strategy": "kSameAsRequested",
    }
    return [(_CUDA, options), _CPU]
