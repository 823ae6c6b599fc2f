"""Large files, read beside the device so that loading them finds them in the machine's file cache."""

import threading
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.interface import Call, Where
from protocol.events import EventBody, ModelLoading

READ_AHEAD_BYTES: Final = 64 << 20
"""Files at least this large together are read."""
CHUNK_BYTES: Final = 8 << 20
_TOLD_SHARE: Final = 0.01
"""Progress of reading is told in steps of this share of the files."""


def read_ahead(name: str, files: Sequence[Path], tell: Callable[[EventBody], None]) -> Generator[Call, Any, None]:
    """One call on the side pool, of stage `read`, or none if the files are small. Use with `yield from`.

    Args:
        name: of the model, for `model.loading`.
    """
    total = sum(file.stat().st_size for file in files if file.exists())
    if total < READ_AHEAD_BYTES:
        return
    is_over = threading.Event()
    try:
        yield Call(partial(_read, name, files, total, tell, is_over), Where.POOL, "read")
    finally:
        is_over.set()  # a job that is closed meanwhile wants no more of it, nor anything told


def _read(
    name: str, files: Sequence[Path], total: int, tell: Callable[[EventBody], None], is_over: threading.Event
) -> None:
    done, told = 0, -1.0
    for file in files:
        with file.open("rb", buffering=0) as content:
            while not is_over.is_set() and (chunk := content.read(CHUNK_BYTES)):
                done += len(chunk)
                if done / total >= told + _TOLD_SHARE:
                    told = done / total
                    tell(ModelLoading(model=name, phase="read", done=min(done, total), total=total))
