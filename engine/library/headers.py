"""Names and shapes of the tensors in a safetensors file, from its header alone.

The file is checked as strictly as the safetensors library checks it when it loads, so that what is listed as usable
opens: eight bytes of length, a JSON object of that length, then the tensors' bytes end to end with no gap.

Source: the format description of the safetensors library, 0.8.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from engine.library.records import Shape

MAX_HEADER_BYTES: Final = 100_000_000
"""The safetensors library refuses longer ones."""
_LENGTH_BYTES: Final = 8
_MAX_RANK: Final = 32
_TOO_MANY: Final = 1 << 63
"""Sizes and offsets are below this; products of larger numbers could be made to take minutes."""
_METADATA: Final = "__metadata__"
_BITS: Final[Mapping[str, int]] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Element type -> bits. The sizes of tensors of other types are not checked: a newer library may know them."""


class BadHeader(Exception):
    """A file that no loader would take; the message says why, without the path."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its tensors.

    Attributes:
        shapes: tensor name -> shape.
        metadata: free text its maker put in; keys are not to be relied on.
    """

    shapes: Mapping[str, Shape]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class _Extent:
    begin: int
    end: int
    name: str


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file; of the tensors, nothing is read.

    Raises:
        BadHeader: empty, truncated, or not as the format wants it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        if size_bytes == 0:
            raise BadHeader("the file is empty")
        prefix = file.read(_LENGTH_BYTES)
        if len(prefix) < _LENGTH_BYTES:
            raise BadHeader("the file ends within its first eight bytes")
        length = int.from_bytes(prefix, "little")
        if length > MAX_HEADER_BYTES:
            raise BadHeader(f"its header claims {length} bytes; at most {MAX_HEADER_BYTES} are allowed")
        if length > size_bytes - _LENGTH_BYTES:
            raise BadHeader("the file is truncated: it ends within its header")
        text = file.read(length)
    if len(text) < length:
        raise BadHeader("the file is truncated: it ends within its header")
    return _checked(_parse(text), size_bytes - _LENGTH_BYTES - length)


def _parse(text: bytes) -> Mapping[str, object]:
    if not text.startswith(b"{"):
        raise BadHeader("its header is not JSON: not a safetensors file, or a damaged one")
    try:
        parsed = json.loads(text.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse)
    except (ValueError, RecursionError, MemoryError):
        raise BadHeader("its header is not JSON: not a safetensors file, or a damaged one") from None
    assert isinstance(parsed, dict)  # it begins with a brace
    return parsed


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for name, value in pairs:
        if name in made:
            raise BadHeader(f"its header names {name[:80]!r} twice")
        made[name] = value
    return made


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _checked(parsed: Mapping[str, object], room: int) -> Header:
    shapes: dict[str, Shape] = {}
    extents: list[_Extent] = []
    metadata: Mapping[str, str] = {}
    for name, entry in parsed.items():
        if not isinstance(entry, dict):
            raise BadHeader(f"its header holds no description of {name[:80]!r}")
        if name == _METADATA:
            metadata = {key: value for key, value in entry.items() if isinstance(value, str)}
            continue
        shapes[name] = _shape(name, entry)
        extents.append(_extent(name, entry, shapes[name]))
    _check_layout(extents, room)
    return Header(shapes, metadata)


def _shape(name: str, entry: Mapping[str, object]) -> Shape:
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) > _MAX_RANK or not all(_is_count(size) for size in shape):
        raise BadHeader(f"its header gives {name[:80]!r} no shape")
    return tuple(shape)


def _extent(name: str, entry: Mapping[str, object], shape: Shape) -> _Extent:
    match entry.get("data_offsets"):
        case [int(begin), int(end)] if _is_count(begin) and begin <= end:
            pass
        case _:
            raise BadHeader(f"its header gives {name[:80]!r} no place in the file")
    dtype = entry.get("dtype")
    if not isinstance(dtype, str):
        raise BadHeader(f"its header gives {name[:80]!r} no element type")
    bits = _BITS.get(dtype)
    if bits is not None and math.prod(shape) * bits != (end - begin) * 8:
        raise BadHeader(f"the size of {name[:80]!r} does not fit its shape {list(shape)} of {dtype}")
    return _Extent(begin, end, name)


def _check_layout(extents: list[_Extent], room: int) -> None:
    position = 0
    for extent in sorted(extents):
        if extent.begin < position:
            raise BadHeader(f"{extent.name[:80]!r} lies over another tensor")
        if extent.begin > position:
            raise BadHeader(f"there is a gap before {extent.name[:80]!r}")
        position = extent.end
    if position > room:
        raise BadHeader(f"the file is truncated: {position - room} bytes of its tensors are missing")
    if position < room:
        raise BadHeader(f"{room - position} bytes at its end belong to no tensor")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MANY
