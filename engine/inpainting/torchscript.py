"""TorchScript files opened with their code, for those that are trusted.

The code in such a file may read and write files. So a file is opened only if it is the one its authors publish, or the
operator has given its checksum: `erasers` sees to that before a loader comes here. For weights alone, which any file
may be asked for, there is `script_weights`.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from engine.interface import EngineError
from protocol.errors import ErrorCode

_load: Final[Callable[..., torch.jit.ScriptModule]] = torch.jit.load


class Script:
    """One opened file.

    Args:
        name: of the file, for messages.
    """

    def __init__(self, module: torch.jit.ScriptModule, name: str) -> None:
        self._module = module
        self._name = name

    @property
    def size_bytes(self) -> int:
        """Of its weights in memory."""
        held = (*self._module.parameters(), *self._module.buffers())
        return sum(int(tensor.numel() * tensor.element_size()) for tensor in held)

    def __call__(self, *inputs: Tensor, **named: Tensor) -> object:
        """What its `forward` makes of these; without gradients.

        Raises:
            EngineError: `bad_model`: it does not take them.
        """
        try:
            with torch.no_grad():
                return self._module(*inputs, **named)
        except torch.OutOfMemoryError:
            raise
        except (torch.jit.Error, RuntimeError) as error:  # the second, where its inputs are not what it takes
            # Whether memory ran out is told by the words, see `TorchBackend.is_out_of_memory`.
            if "memory" in str(error).lower():
                raise RuntimeError(str(error)) from error
            message = f"{self._name}: it does not take what this model is given"
            raise EngineError(ErrorCode.BAD_MODEL, message) from error


def open_scripts(paths: Sequence[Path], device: str, dtype: torch.dtype) -> list[Script]:
    """The files with their code, for inference on `device` in `dtype`, in the order of `paths`.

    Raises:
        EngineError: `bad_model`: one is no TorchScript, or damaged.
    """
    return [Script(_opened(path).to(device, dtype).eval(), path.name) for path in paths]


def _opened(path: Path) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            # Torch would rather have other formats; these files are what their authors publish.
            warnings.simplefilter("ignore", DeprecationWarning)
            # To the CPU first: it may have been traced on a device this machine does not have.
            return _load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: torch cannot open it as TorchScript") from error
