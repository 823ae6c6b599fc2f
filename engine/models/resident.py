"""One model in memory, and how it is told from others."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Key:
    """What a model is called in memory.

    Attributes:
        name: as clients know it.
        variant: tells apart what one file became for the sake of different models it goes with.
    """

    name: str
    variant: str = ""


@dataclass(slots=True, eq=False)
class Resident:
    """A model in memory. For the executor thread.

    Attributes:
        stamp: of the file it was made of; another one once its contents are replaced.
        size: bytes of it that are always on the device; may change with what is laid over it.
        home_size: bytes the machine's memory holds for a model on another device.
        goes_for: asked to go for this reason; it does when its last user has gone.
        is_replaced: another one has its name now.
    """

    key: Key
    stamp: Hashable
    network: object
    size: Callable[[], int]
    home_size: Callable[[], int]
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)
    goes_for: str | None = None
    is_replaced: bool = False
