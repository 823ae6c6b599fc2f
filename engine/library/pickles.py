"""Names and shapes of the tensors in a PyTorch file, without running it.

A pickle is a program. This reads its instructions as text, as a disassembler does, and executes none of them: it
notes the strings, and the numbers that stand where torch writes a tensor's shape. Whether the file may be loaded is
the loader's to decide, with `weights_only`.

    zip archive       since torch 1.6; the pickle is its first member, `NAME/data.pkl`, stored uncompressed
    bare pickles      before that: a magic number, a version, the machine, and then the pickle in question

Source: the standard library's `pickletools`, and what `torch.save` writes.
"""

import io
import pickletools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from engine.library.records import Shape

_MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_INSTRUCTIONS: Final = 400_000
"""About a second. A checkpoint of SD 1 has 60,000."""
_LOCAL_HEADER: Final = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_STORED: Final = 0
_PICKLE_START: Final = b"\x80"
_OLD_PICKLES: Final = 4
_STRINGS: Final = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"})
_NUMBERS: Final = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG"})
_TUPLES: Final = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"})


class BadPickle(Exception):
    """Not a PyTorch file, or one torch would not read; the message says why, without the path."""


def read_pickle(path: Path) -> dict[str, Shape]:
    """The strings in the file's pickle; those that name a tensor come with its shape, the others with ().

    Names within nested dictionaries stand alone, without the names above them. Large or odd files give fewer, or
    none: this is a look, not a proof.

    Raises:
        BadPickle: empty, or neither a zip archive nor a pickle.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_LOCAL_HEADER.size)
        if not start:
            raise BadPickle("the file is empty")
        if start.startswith(_LOCAL_SIGNATURE):
            return _names(_first_member(file, start), pickles=1)
        if start.startswith(_PICKLE_START):
            file.seek(0)
            return _names(file.read(_MAX_BYTES), pickles=_OLD_PICKLES)
    raise BadPickle("not a PyTorch file: neither a zip archive nor a pickle")


def _first_member(file: IO[bytes], start: bytes) -> bytes:
    if len(start) < _LOCAL_HEADER.size:
        raise BadPickle("the file is truncated")
    _, _, _, method, _, _, _, _, _, name_length, extra_length = _LOCAL_HEADER.unpack(start)
    name = file.read(name_length)
    file.seek(extra_length, 1)
    # The size in front of the member may be zero (it is repeated behind it); the pickle says itself where it ends.
    return file.read(_MAX_BYTES) if method == _STORED and name.endswith(b"/data.pkl") else b""


def _names(program: bytes, *, pickles: int) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    stream = io.BytesIO(program)
    for _ in range(pickles):
        for name, shape in _strings_and_shapes(stream):
            if shape or name not in found:
                found[name] = shape
    return found


def _strings_and_shapes(stream: IO[bytes]) -> Iterator[tuple[str, Shape]]:
    """(string, ()) for every string, and (name, shape) once the shape after it is known."""
    name: str | None = None
    numbers: list[int] | None = None
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= _MAX_INSTRUCTIONS:
                return
            if opcode.name in _STRINGS:
                text = str(argument)
                if _may_name_a_tensor(text):
                    name = text
                yield text, ()
            elif opcode.name == "BINPERSID":
                numbers = []  # a tensor's storage: its offset follows, then its shape
            elif numbers is not None and opcode.name in _NUMBERS:
                numbers.append(int(argument or 0))
            elif numbers is not None and opcode.name in _TUPLES:
                if name is not None:
                    yield name, tuple(numbers[1:])
                name, numbers = None, None
    except (ValueError, IndexError, OverflowError, struct.error):
        return  # cut off or not a pickle; what was seen until here stands


def _may_name_a_tensor(text: str) -> bool:
    # Between a tensor's name and its shape torch writes the word "storage", the storage's number and its device.
    return text != "storage" and not text.isdigit() and text not in {"cpu", "mps"} and not text.startswith("cuda")
