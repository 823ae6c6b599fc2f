"""Which models are in memory: loaded when first needed, dropped when others need the room or nobody used them long."""

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import structlog

from engine.interface import Call, Where
from engine.models.catalogue import find
from engine.models.files import locate
from engine.steps import twice
from protocol.events import EventBody, ModelLoaded, ModelLoading, ModelUnloaded

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Loader = Callable[[Path, str], T]
"""Makes a network of the model's first file, on a device."""
Tell = Callable[[EventBody], None]

DEFAULT_BUDGET_BYTES: Final = 1 << 30
_READ_AHEAD_BYTES: Final = 64 << 20
"""Files at least this large are read into the machine's file cache before they are loaded."""
_CHUNK_BYTES: Final = 8 << 20
_TOLD_SHARE: Final = 0.01
"""Progress of reading is told in steps of this share of the files."""


def say_nothing(_body: EventBody) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class _Resident:
    network: object
    size_bytes: int
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)


class Residency:
    """The networks in memory, shared by all jobs. For the executor thread.

    Args:
        models_dir: where the packaged models lie.
        device: given to the loaders.
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`; from any thread.
        budget_bytes: of weights. A single larger one is loaded all the same, and one that jobs are using stays.
    """

    def __init__(
        self, models_dir: Path, device: str, tell: Tell = say_nothing, budget_bytes: int = DEFAULT_BUDGET_BYTES
    ) -> None:
        self.models_dir = models_dir
        self.device = device
        self._tell = tell
        self._budget_bytes = budget_bytes
        self._residents: OrderedDict[str, _Resident] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        """What is in memory, the least recently used first."""
        return tuple(self._residents)

    def use(self, name: str, load: Loader[T]) -> Generator[Call, Any, T]:
        """The network of a packaged model; loading it, if it must be, is a device call of stage `load`.

        Use with `yield from`.

        Args:
            load: always the same for one name.

        Raises:
            EngineError: `model_missing`, before anything is loaded.
        """
        if name in self._residents:
            return cast("T", self._found(name).network)
        path = locate(name, self.models_dir)
        size_bytes = find(name).size_bytes
        return (yield from self.keep(name, size_bytes, lambda: load(path, self.device), files=(path,)))

    def keep(
        self,
        name: str,
        size_bytes: int,
        load: Callable[[], T],
        *,
        files: Sequence[Path] = (),
        size_of: Callable[[T], int] | None = None,
    ) -> Generator[Call, Any, T]:
        """What `load` made the first time it was needed. Use with `yield from`.

        Large files are first read beside the device, in the side pool (stage `read`), so that the device call (stage
        `load`) finds them in the machine's file cache: the jobs that run on other models wait for that call alone.

        Args:
            name: unique among all kinds of models; `load` is always the same for one name.
            size_bytes: of the weights in memory, as far as that is known before.
            files: what `load` will read.
            size_of: what the weights really take, once they are loaded.
        """
        if name in self._residents:
            return cast("T", self._found(name).network)
        total = sum(file.stat().st_size for file in files if file.exists())
        if total >= _READ_AHEAD_BYTES:
            yield Call(partial(self._read_ahead, name, files, total), Where.POOL, "read")
        loaded: T = yield from twice(Call(lambda: self._load(name, size_bytes, load, size_of), stage="load"))
        return loaded

    @contextmanager
    def in_use(self, name: str) -> Iterator[None]:
        """Within it the model stays, whoever else needs the room: dropping it would free nothing."""
        resident = self._residents.get(name)
        if resident is not None:
            resident.users += 1
        try:
            yield
        finally:
            if resident is not None:
                resident.users -= 1
                resident.used_at = time.monotonic()

    def unload(self, name: str, reason: str) -> bool:
        """Drop one model, unless jobs are using it.

        Returns:
            Whether it is out of memory now.
        """
        resident = self._residents.get(name)
        if resident is None:
            return True
        if resident.users:
            return False
        self._drop(name, reason)
        return True

    def unload_idle(self, idle_s: float) -> None:
        """Drop what nobody has used for that long."""
        before = time.monotonic() - idle_s
        for name, resident in list(self._residents.items()):
            if not resident.users and resident.used_at < before:
                self._drop(name, "nobody has used it for a while")

    def clear(self, reason: str) -> None:
        """Drop every network that no job is using."""
        for name, resident in list(self._residents.items()):
            if not resident.users:
                self._drop(name, reason)

    def _found(self, name: str) -> _Resident:
        self._residents.move_to_end(name)
        resident = self._residents[name]
        resident.used_at = time.monotonic()
        return resident

    def _read_ahead(self, name: str, files: Sequence[Path], total: int) -> None:
        """On a side-pool thread."""
        done, told = 0, -1.0
        for file in files:
            with file.open("rb", buffering=0) as content:
                while chunk := content.read(_CHUNK_BYTES):
                    done += len(chunk)
                    if done / total >= told + _TOLD_SHARE:
                        told = done / total
                        self._tell(ModelLoading(model=name, phase="read", done=min(done, total), total=total))

    def _load(self, name: str, size_bytes: int, load: Callable[[], T], size_of: Callable[[T], int] | None) -> T:
        if name in self._residents:  # another job asked for it too, and its call came first
            return cast("T", self._found(name).network)
        self._tell(ModelLoading(model=name, phase="device", done=0, total=size_bytes))
        self._make_room(size_bytes)
        network = load()
        if size_of is not None:
            size_bytes = size_of(network)
            self._make_room(size_bytes)
        self._residents[name] = _Resident(network, size_bytes)
        logger.info("model.loaded", model=name, device=self.device, size_bytes=size_bytes)
        self._tell(ModelLoaded(model=name, device=self.device, size_bytes=size_bytes))
        return network

    def _make_room(self, size_bytes: int) -> None:
        """Drop what was used longest ago, and is not used now, until there is room or nothing left to drop."""
        for name, resident in list(self._residents.items()):
            if sum(each.size_bytes for each in self._residents.values()) + size_bytes <= self._budget_bytes:
                return
            if not resident.users:
                self._drop(name, "another model needs the room")

    def _drop(self, name: str, reason: str) -> None:
        del self._residents[name]
        logger.info("model.unloaded", model=name, reason=reason)
        self._tell(ModelUnloaded(model=name, reason=reason))
