"""A model file or folder that is there and cannot be used."""

import pickle
import traceback
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError

from engine.interface import EngineError
from protocol.errors import ErrorCode

_SHOWN_CHARACTERS: Final = 300

READ_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What the libraries raise on files they cannot make sense of."""


class ModelUnusable(EngineError):
    """It is corrupt, truncated, hostile, unknown, or not of the family it looked like. The message names it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(ErrorCode.BAD_MODEL, f"the model {name!r} cannot be used: {problem}")


def let_go(error: BaseException) -> None:
    """Empty the frames that an error came through: whoever keeps the error would keep what was loaded there."""
    told: BaseException | None = error
    while told is not None:
        traceback.clear_frames(told.__traceback__)
        told = told.__cause__ or told.__context__


def explain(error: Exception, path: Path) -> str:
    """What was wrong, for a person: the first lines of what a library said, without the path.

    Raises:
        Exception: `error` itself, if it says that memory ran out or that the engine gave up: no fault of the file.
    """
    if isinstance(error, torch.OutOfMemoryError | EngineError):
        raise error
    said = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and "memory" in said.lower() and "allocate" in said.lower():
        raise error
    if isinstance(error, pickle.UnpicklingError):
        return "its pickle holds more than tensors, and reading that would run code; have it as safetensors"
    if isinstance(error, SafetensorError):
        said = f"it is truncated or no safetensors file ({said})"
    for known in (str(path.resolve()), str(path)):
        said = said.replace(known, path.name)
    return said[:_SHOWN_CHARACTERS] or type(error).__name__
