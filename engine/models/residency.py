"""Which models are in memory: loaded when first needed, dropped when others need the room or nobody used them long."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import structlog

from engine.interface import Call, OutOfMemory, Steps, Where
from engine.models.catalogue import find
from engine.models.files import locate
from engine.models.shared_load import Loading, SharedLoad
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
    goes_for: str | None = None
    """Asked to go for this reason; it does when its last user has gone."""


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
        self._loads: dict[str, SharedLoad] = {}
        self._waiting: Counter[str] = Counter()
        """Jobs that wait for each model on its way."""
        self._listed: tuple[str, ...] = ()

    @property
    def listed(self) -> tuple[str, ...]:
        """What is in memory, in no order. Any thread may ask."""
        return self._listed

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

        def steps() -> Loading[T]:
            return cast("T", (yield Call(lambda: load(path, self.device))))

        return (yield from self.keep(name, find(name).size_bytes, steps, files=(path,)))

    def keep(
        self,
        name: str,
        size_bytes: int,
        load: Callable[[], Loading[T]],
        *,
        files: Sequence[Path] = (),
        size_of: Callable[[T], int] | None = None,
    ) -> Generator[Call, Any, T]:
        """What `load` made the first time it was needed. Use with `yield from`.

        Large files are first read beside the device, in the side pool (stage `read`), so that the device calls (stage
        `load`) find them in the machine's file cache: the jobs that run on other models wait for those calls alone,
        and go on between them. Several jobs that wait for one model share its loading; it is given up when the last
        of them has gone.

        Args:
            name: unique among all kinds of models; `load` is always the same for one name.
            load: each of its calls is made once, where it says, by whichever job gets to it first.
            size_bytes: of the weights in memory, as far as that is known before.
            files: what `load` will read.
            size_of: what the weights really take, once they are loaded.
        """
        if name in self._residents:
            return cast("T", self._found(name).network)
        total = sum(file.stat().st_size for file in files if file.exists())
        if total >= _READ_AHEAD_BYTES:
            yield Call(partial(self._read_ahead, name, files, total), Where.POOL, "read")
        try:
            return cast("T", (yield from self._join(name, size_bytes, load, size_of)))
        except OutOfMemory:
            # By now the caches were freed, of models above all, so there may be room.
            return cast("T", (yield from self._join(name, size_bytes, load, size_of)))

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
                if not resident.users and resident.goes_for is not None and self._residents.get(name) is resident:
                    self._drop(name, resident.goes_for)

    def unload(self, name: str, reason: str) -> bool:
        """Drop one model; one that jobs are using goes when the last of them has ended.

        Returns:
            Whether it is out of memory now.
        """
        resident = self._residents.get(name)
        if resident is None:
            return True
        if resident.users:
            resident.goes_for = reason
            return False
        self._drop(name, reason)
        return True

    def stay(self, name: str) -> None:
        """Take back an `unload` that waits for the model's users."""
        if name in self._residents:
            self._residents[name].goes_for = None

    def unload_idle(self, idle_s: float) -> bool:
        """Drop what nobody has used for that long.

        Returns:
            Whether there was any.
        """
        before = time.monotonic() - idle_s
        idle = [name for name, resident in self._residents.items() if not resident.users and resident.used_at < before]
        for name in idle:
            self._drop(name, "nobody has used it for a while")
        return bool(idle)

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

    def _join(
        self, name: str, size_bytes: int, load: Callable[[], Loading[T]], size_of: Callable[[T], int] | None
    ) -> Generator[Call, Any, object]:
        """Go on with the loading of a model, whoever began it, until it is done."""
        self._waiting[name] += 1
        try:
            while name not in self._residents:
                if name not in self._loads:
                    self._loads[name] = SharedLoad(self._whole(name, size_bytes, load, size_of))
                yield from self._advance(name, self._loads[name])
            return self._found(name).network
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name]
                if name in self._loads:
                    self._loads.pop(name).give_up()

    def _advance(self, name: str, load: SharedLoad) -> Steps:
        """Make one call of a load. If it fails, it begins anew for whoever else waits for it, and fails there too."""
        try:
            call = load.next_call()
            if call is not None:
                yield call
                return
        except OutOfMemory:
            self._forget(name, load)
            load.give_up()
            raise
        except Exception as error:  # noqa: BLE001 - the loader says what it means
            self._forget(name, load)
            load.fail(error)
        self._forget(name, load)

    def _forget(self, name: str, load: SharedLoad) -> None:
        if self._loads.get(name) is load:
            del self._loads[name]

    def _whole(
        self, name: str, size_bytes: int, load: Callable[[], Loading[T]], size_of: Callable[[T], int] | None
    ) -> Loading[None]:
        self._tell(ModelLoading(model=name, phase="device", done=0, total=size_bytes))
        self._make_room(size_bytes)
        network = yield from load()
        if size_of is not None:
            size_bytes = size_of(network)
            self._make_room(size_bytes)
        self._residents[name] = _Resident(network, size_bytes)
        self._listed = tuple(self._residents)
        logger.info("model.loaded", model=name, device=self.device, size_bytes=size_bytes)
        self._tell(ModelLoaded(model=name, device=self.device, size_bytes=size_bytes))

    def _make_room(self, size_bytes: int) -> None:
        """Drop what was used longest ago, and is not used now, until there is room or nothing left to drop."""
        for name, resident in list(self._residents.items()):
            if sum(each.size_bytes for each in self._residents.values()) + size_bytes <= self._budget_bytes:
                return
            if not resident.users:
                self._drop(name, "another model needs the room")

    def _drop(self, name: str, reason: str) -> None:
        del self._residents[name]
        self._listed = tuple(self._residents)
        logger.info("model.unloaded", model=name, reason=reason)
        self._tell(ModelUnloaded(model=name, reason=reason))
