"""Which models are in memory: loaded when first needed, dropped when others need the room or nobody used them long."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import structlog

from engine.interface import Call, OutOfMemory
from engine.interface.engine import ModelMemory, ResidentModel
from engine.models.announcements import Announcements
from engine.models.catalogue import find
from engine.models.files import locate
from engine.models.joint_loads import JointLoads, Want
from engine.models.read_ahead import read_ahead
from engine.models.resident import Key, Resident
from engine.models.shared_load import Loading
from engine.models.visitors import NoVisitors, Visitors
from protocol.events import EventBody, ModelLoaded, ModelLoading, ModelUnloaded

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Loader = Callable[[Path, str], T]
"""Makes a network of the model's first file, on a device."""
Tell = Callable[[EventBody], None]

DEFAULT_BUDGET_BYTES: Final = 1 << 30


def say_nothing(_body: EventBody) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan(Generic[T]):
    """How a model is brought into memory."""

    size_bytes: int
    load: Callable[[], Loading[T]]
    size_of: Callable[[T], int] | None
    home_size_of: Callable[[T], int] | None
    is_at_home: bool


class Residency:
    """The networks in memory, shared by all jobs. For the executor thread.

    Args:
        models_dir: where the packaged models lie.
        device: given to the loaders.
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`; from any thread.
        budget_bytes: of weights on the device. A single larger one is loaded all the same, and one that jobs are using
            stays.
        home_budget_bytes: of weights that the machine's memory holds for another device; None sets no limit.
    """

    def __init__(
        self,
        models_dir: Path,
        device: str,
        tell: Tell = say_nothing,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
        *,
        home_budget_bytes: int | None = None,
    ) -> None:
        self.models_dir = models_dir
        self.device = device
        self.budget_bytes = budget_bytes
        self.visitors: Visitors = NoVisitors()
        self._tell = Announcements(tell)
        self._home_budget_bytes = home_budget_bytes
        self._residents: OrderedDict[Key, Resident] = OrderedDict()
        self._replaced: list[Resident] = []
        """In use though their files have been replaced."""
        self._loads = JointLoads()
        self._memory = ModelMemory(budget_bytes=budget_bytes)

    @property
    def listed(self) -> tuple[str, ...]:
        """What is in memory, each name once, in no order. Any thread may ask."""
        return self._memory.names

    @property
    def memory(self) -> ModelMemory:
        """The same with the sizes there were when a model last came or went. Any thread may ask."""
        return self._memory

    @property
    def names(self) -> tuple[str, ...]:
        """What is in memory, the least recently used first."""
        return tuple(key.name for key in self._residents)

    @property
    def room_bytes(self) -> int:
        """Of the budget for the device, with all that is there now; below 0 if that is more."""
        held = sum(resident.size() for resident in (*self._residents.values(), *self._replaced))
        return self.budget_bytes - held - self.visitors.present_bytes

    def use(self, name: str, load: Loader[T]) -> Generator[Call, Any, T]:
        """The network of a packaged model; loading it, if it must be, is a device call of stage `load`.

        Use with `yield from`.

        Args:
            load: always the same for one name.

        Raises:
            EngineError: `model_missing`, before anything is loaded.
        """
        if (resident := self._found(Want(Key(name), None))) is not None:
            return cast("T", resident.network)
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
        variant: str = "",
        stamp: Hashable = None,
        files: Sequence[Path] = (),
        size_of: Callable[[T], int] | None = None,
        home_size_of: Callable[[T], int] | None = None,
        is_at_home: bool = False,
    ) -> Generator[Call, Any, T]:
        """What `load` made the first time it was needed. Use with `yield from`.

        Large files are first read beside the device, in the side pool (stage `read`), so that the device calls (stage
        `load`) find them in the machine's file cache: the jobs that run on other models wait for those calls alone,
        and go on between them. Several jobs that wait for one model share its loading; it is given up when the last
        of them has gone.

        Args:
            name: unique among all kinds of models; as clients know it.
            load: each of its calls is made once, where it says, by whichever job gets to it first. Always the same for
                one name, variant and stamp.
            size_bytes: of the weights in memory, as far as that is known before.
            variant: tells apart what is made of one file for different models that it goes with.
            stamp: of the files. What is in memory with another stamp goes, or when the jobs that use it have ended,
                and `load` is used again.
            files: what `load` will read.
            size_of: what the weights really take on the device, once they are loaded; asked again and again.
            home_size_of: likewise what the machine's memory holds for a model on another device.
            is_at_home: the model is loaded to the machine's memory, and sees itself to what it needs on the device.
        """
        want = Want(Key(name, variant), stamp)
        if (resident := self._found(want)) is not None:
            return cast("T", resident.network)
        with self._tell.coming(name, partial(self._present, name)):
            yield from read_ahead(name, files, self._tell)
            plan = _Plan(
                size_bytes=size_bytes, load=load, size_of=size_of, home_size_of=home_size_of, is_at_home=is_at_home
            )
            begin = partial(self._whole, want, plan)
            try:
                return cast("T", (yield from self._loads.join(want, self._found, begin)))
            except OutOfMemory:
                # By now the caches were freed, of models above all, so there may be room.
                return cast("T", (yield from self._loads.join(want, self._found, begin)))

    @contextmanager
    def in_use(self, network: object) -> Iterator[None]:
        """Within it a network stays that was just had from here, whoever else needs the room: dropping it would free
        nothing."""
        resident = next((each for each in self._residents.values() if each.network is network), None)
        if resident is not None:
            resident.users += 1
        try:
            yield
        finally:
            if resident is not None:
                resident.users -= 1
                resident.used_at = time.monotonic()
                self._let_go(resident)

    def unload(self, name: str, reason: str) -> bool:
        """Drop one model, in all its variants; one that jobs are using goes when the last of them has ended.

        Returns:
            Whether it is out of memory now.
        """
        named = [resident for key, resident in self._residents.items() if key.name == name]
        for resident in named:
            resident.goes_for = reason
            self._let_go(resident)
        return not any(resident.users for resident in named)

    def stay(self, name: str) -> None:
        """Take back an `unload` that waits for the model's users."""
        for key, resident in self._residents.items():
            if key.name == name:
                resident.goes_for = None

    def unload_idle(self, idle_s: float) -> bool:
        """Drop what nobody has used for that long.

        Returns:
            Whether there was any.
        """
        before = time.monotonic() - idle_s
        idle = [each for each in self._residents.values() if not each.users and each.used_at < before]
        for resident in idle:
            self._drop(resident, "nobody has used it for a while")
        return bool(idle)

    def clear(self, reason: str) -> None:
        """Drop every network that no job is using."""
        for resident in list(self._residents.values()):
            if not resident.users:
                self._drop(resident, reason)

    def make_room(self, size_bytes: int, home_bytes: int = 0) -> None:
        """Have room for this much more: parts of offloaded models leave, then what was used longest ago and is not
        used now goes, until there is enough or nothing left to go."""
        self.visitors.make_way(size_bytes)
        for resident in list(self._residents.values()):
            is_short, is_home_short = self.room_bytes < size_bytes, self._home_room_bytes < home_bytes
            if not is_short and not is_home_short:
                return
            helps = (is_short and resident.size() > 0) or (is_home_short and resident.home_size() > 0)
            if helps and not resident.users:
                self._drop(resident, "another model needs the room")

    @property
    def _home_room_bytes(self) -> float:
        if self._home_budget_bytes is None:
            return math.inf
        held = sum(resident.home_size() for resident in (*self._residents.values(), *self._replaced))
        return self._home_budget_bytes - held

    def _found(self, want: Want) -> Resident | None:
        resident = self._residents.get(want.key)
        if resident is None:
            return None
        if resident.stamp != want.stamp:
            self._replace(resident)
            return None
        self._residents.move_to_end(want.key)
        resident.used_at = time.monotonic()
        return resident

    def _replace(self, resident: Resident) -> None:
        """Its name is another's from now on. Jobs that use it go on with it."""
        self._drop(resident, "its file was replaced")
        if resident.users:
            resident.is_replaced = True
            self._replaced.append(resident)

    def _let_go(self, resident: Resident) -> None:
        if resident.users:
            return
        if resident.is_replaced:
            self._replaced.remove(resident)
        elif resident.goes_for is not None and self._residents.get(resident.key) is resident:
            self._drop(resident, resident.goes_for)

    def _whole(self, want: Want, plan: _Plan[T]) -> Loading[None]:
        name, expected = want.key.name, plan.size_bytes
        self._tell(ModelLoading(model=name, phase="device", done=0, total=expected))
        if plan.is_at_home:
            self.make_room(0, expected)
        else:
            self.make_room(expected)
        network = yield from plan.load()
        size = partial(plan.size_of or (lambda _network: expected), network)
        home_size = partial(plan.home_size_of or (lambda _network: 0), network)
        size_bytes, home_bytes = size(), home_size()
        self.make_room(size_bytes, home_bytes)
        self._residents[want.key] = Resident(want.key, want.stamp, network, size, home_size)
        self._list()
        logger.info("model.loaded", model=name, device=self.device, size_bytes=size_bytes, home_bytes=home_bytes)
        self._tell(ModelLoaded(model=name, device=self.device, size_bytes=size_bytes))

    def _present(self, name: str) -> ModelLoaded | None:
        for model in self._memory.models:
            if model.name == name:
                return ModelLoaded(model=name, device=self.device, size_bytes=model.size_bytes)
        return None

    def _drop(self, resident: Resident, reason: str) -> None:
        del self._residents[resident.key]
        self._list()
        logger.info("model.unloaded", model=resident.key.name, reason=reason)
        self._tell(ModelUnloaded(model=resident.key.name, reason=reason))

    def _list(self) -> None:
        sizes: dict[str, ResidentModel] = {}
        for key, resident in self._residents.items():
            others = sizes.get(key.name, ResidentModel(key.name))
            sizes[key.name] = ResidentModel(
                key.name, others.size_bytes + resident.size(), others.home_bytes + resident.home_size()
            )
        self._memory = ModelMemory(tuple(sizes.values()), self.budget_bytes)
