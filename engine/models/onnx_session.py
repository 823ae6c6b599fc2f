"""ONNX files as sessions of onnxruntime, on the CPU or on CUDA."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

_THREADS: Final = 2
_ERRORS_ONLY: Final = 3


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, NDArray[np.float32]]) -> Sequence[Any]: ...

    def get_inputs(self) -> Sequence[Any]: ...


def open_session(model: Path | bytes, device: str) -> Session:
    """Load a model.

    Args:
        model: a file, or the content of one.
        device: on `cuda` the CUDA provider is used if this onnxruntime has it, else the CPU.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    options.inter_op_num_threads = 1
    # The arena keeps what a run needed at its peak, hundreds of megabytes, for ever.
    options.enable_cpu_mem_arena = False
    # It warns of every weight that old exporters list among the inputs.
    options.log_severity_level = _ERRORS_ONLY
    wanted = (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if device.startswith("cuda") else ["CPUExecutionProvider"]
    )
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    source = str(model) if isinstance(model, Path) else model
    return cast("Session", onnxruntime.InferenceSession(source, options, providers=providers))
