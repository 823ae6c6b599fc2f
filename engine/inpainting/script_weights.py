"""The weights in a TorchScript file, read without running anything of it.

Such a file is a zip archive with a pickle of its modules, their weights, and code in a language of torch's own that
may read and write files. Opening it with torch trusts that code; reading its weights need not.

    archive/data.pkl        the modules, as objects of classes named in `code/`; tensors refer to storages by number
    archive/data/NUMBER     a storage
    archive/code/           the code of the classes
    archive/constants.pkl   tensors its code refers to; only TorchScript has it
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.interface import EngineError
from protocol.errors import ErrorCode

_MODULES: Final = "data.pkl"
_MOST_PICKLE_BYTES: Final = 16 * 1024 * 1024
_TYPES: Final[Mapping[str, torch.dtype]] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of a TorchScript file, or of one that `torch.save` wrote, by their names; no code of it runs.

    Returns:
        On the CPU. Empty if the file holds modules without weights.

    Raises:
        EngineError: `bad_model`: neither, or damaged, or it asks for more than weights need.
    """
    try:
        if _is_script(path):
            with zipfile.ZipFile(path) as archive:
                return dict(_tensors(_Reader(archive).modules()))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: holds no weights that can be read") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name}: expected weights by name")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


class _Object:
    """Stands for a module, of whatever class: keeps what it was given."""

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """Reads the modules of an archive; every class of theirs becomes `_Object`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        name = next(name for name in archive.namelist() if name.endswith(f"/{_MODULES}"))
        info = archive.getinfo(name)
        if info.file_size > _MOST_PICKLE_BYTES:
            raise ValueError("its list of modules is too large")
        super().__init__(io.BytesIO(archive.read(info)))
        self._archive = archive
        self._root = name.removesuffix(_MODULES)
        self._storages: dict[str, Tensor] = {}

    def modules(self) -> object:
        return self.load()

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Object
        known: Mapping[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "restore_type_tag"): _first,
            ("torch.jit._pickle", "build_intlist"): list,
            ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list,
            ("torch.jit._pickle", "build_tensorlist"): list,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of weights")

    def persistent_load(self, pid: Any) -> Tensor:
        """The storage of a tensor, flat."""
        _, dtype, number, _, _ = pid
        if number not in self._storages:
            info = self._archive.getinfo(f"{self._root}data/{number}")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its weights are packed, which torch never does")
            # A copy, for torch wants memory that may be written to.
            content = bytearray(self._archive.read(info))
            empty = torch.empty(0, dtype=dtype)
            self._storages[number] = torch.frombuffer(content, dtype=dtype) if content else empty
        return self._storages[number]


def _rebuilt(flat: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_grad: object) -> Tensor:
    return flat.as_strided(tuple(size), tuple(stride), offset)


def _first(value: object, _tag: object) -> object:
    return value


def _tensors(value: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor that is an attribute of a module, named by the way to it, as a state dict does."""
    if not isinstance(value, _Object) or not isinstance(value.state, Mapping):
        return
    for attribute, held in value.state.items():
        place = f"{name}.{attribute}" if name else str(attribute)
        if isinstance(held, Tensor):
            yield place, held
        else:
            yield from _tensors(held, place)
