"""Identifiers: UUID version 7, so that ids sort by the time they were made."""

import os
import threading
import time
import uuid
from typing import Final

_RANDOM_BYTES: Final = 8
_STOCK_BYTES: Final = 512 * _RANDOM_BYTES
"""Random bytes are fetched in stocks: asking the kernel costs more than everything else here."""

_lock = threading.Lock()
_last_ms = 0
_counter = 0
_stock = b""


def new_id() -> str:
    """Return a fresh UUIDv7 in its canonical text form; ids made by one process never repeat or go backwards.

    Safe to call from any thread.

    Source: RFC 9562, section 5.7, with the fixed-length counter of section 6.2, method 1, in `rand_a`.
    """
    global _last_ms, _counter, _stock
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms, _counter = now_ms, 0
        else:
            _counter += 1
            if _counter > 0xFFF:  # more than 4,096 ids in one millisecond: borrow from the next
                _last_ms, _counter = _last_ms + 1, 0
        stamp, counter = _last_ms, _counter
        if not _stock:
            _stock = os.urandom(_STOCK_BYTES)
        random, _stock = _stock[:_RANDOM_BYTES], _stock[_RANDOM_BYTES:]
    value = (stamp & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | counter << 64
    value |= 0b10 << 62 | int.from_bytes(random, "big") & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def made_at(identifier: str) -> float:
    """When an id was made, as its maker's clock had it: Unix time, to the millisecond. 0 for what is no such id."""
    return (uuid.UUID(identifier).int >> 80) / 1000 if is_id(identifier) and identifier[14] == "7" else 0.0


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in canonical lower-case form; the only ids that ever reach a file path."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
