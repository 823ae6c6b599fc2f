"""Which models are in memory: loaded when first needed, dropped when others need the room."""

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import structlog

from engine.interface import Call
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


def say_nothing(_body: EventBody) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class _Resident:
    network: object
    size_bytes: int


class Residency:
    """The networks in memory, shared by all jobs. For the executor thread.

    Args:
        models_dir: where the files lie.
        device: given to the loaders.
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`.
        budget_bytes: of weights, by the size of their files. A single larger one is loaded all the same.
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
        """The network of a model; loading it, if it must be, is a device call of stage `load`. Use with `yield from`.

        Args:
            load: always the same for one name.

        Raises:
            EngineError: `model_missing`, before anything is loaded.
        """
        resident = self._residents.get(name)
        if resident is not None:
            self._residents.move_to_end(name)
            # Loaders are the only source of what is kept under a name.
            return cast("T", resident.network)
        path = locate(name, self.models_dir)
        network: T = yield from twice(Call(lambda: self._load(name, path, load), stage="load"))
        return network

    def clear(self, reason: str) -> None:
        """Drop every network; one that a job is using goes when that job lets go of it."""
        while self._residents:
            self._drop_oldest(reason)

    def _load(self, name: str, path: Path, load: Loader[T]) -> T:
        if name in self._residents:  # another job asked for it too, and its call came first
            return cast("T", self._residents[name].network)
        size_bytes = find(name).size_bytes
        self._tell(ModelLoading(model=name, phase="read", done=0, total=size_bytes))
        while self._residents and self._resident_bytes() + size_bytes > self._budget_bytes:
            self._drop_oldest("another model needs the room")
        network = load(path, self.device)
        self._residents[name] = _Resident(network, size_bytes)
        logger.info("model.loaded", model=name, device=self.device, size_bytes=size_bytes)
        self._tell(ModelLoaded(model=name, device=self.device, size_bytes=size_bytes))
        return network

    def _resident_bytes(self) -> int:
        return sum(resident.size_bytes for resident in self._residents.values())

    def _drop_oldest(self, reason: str) -> None:
        name, _ = self._residents.popitem(last=False)
        logger.info("model.unloaded", model=name, reason=reason)
        self._tell(ModelUnloaded(model=name, reason=reason))
