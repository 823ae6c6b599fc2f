"""A moment inside a frame: the monotonic clock, which all processes of a machine share, as its last bytes."""

import struct
import time
from typing import Final

STAMP: Final = struct.Struct("<q")


def stamp() -> bytes:
    """Now, in nanoseconds."""
    return STAMP.pack(time.monotonic_ns())
