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
from protocol.events import EventBody, ModelLoaded, ModelLoading, ModelUnloaded

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Loader = Callable[[Path, str], T]
"""Makes a network of the model's first file, on a device."""
Tell = Callable[[EventBody], None]

DEFAULT_BUDGET_BYTES: Final = 1 << 30


@dataclass(slots=True)
class _Resident:
    network: object
    size_bytes: int


class Residency:
    """The networks in memory, shared by all jobs. For the executor thread.

    Args:
        models_dir: where the files lie.
        device: given to the loaders.
        budget_bytes: of weights, by the size of their files. The one in use stays, however large it is.
    """

    def __init__(self, models_dir: Path, device: str, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.models_dir = models_dir
        self.device = device
        self._budget_bytes = budget_bytes
        self._residents: OrderedDict[str, _Resident] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        """What is in memory, the least recently used first."""
        return tuple(self._residents)

    def use(self, name: str, load: Loader[T], tell: Tell) -> Generator[Call, Any, T]:
        """The network of a model; loading it, if it must be, is a device call of stage `load`. Use with `yield from`.

        Args:
            load: always the same for one name.
            tell: hears `model.loading`, `model.loaded` and `model.unloaded`.

        Raises:
            EngineError: `model_missing`, before anything is loaded.
        """
        if name in self._residents:
            self._residents.move_to_end(name)
        else:
            path = locate(name, self.models_dir)
            yield Call(lambda: self._load(name, path, load, tell), stage="load")
        # Loaders are the only source of what is kept under a name.
        return cast("T", self._residents[name].network)

    def clear(self) -> None:
        """Drop every network; one that a job is using goes when that job lets go of it."""
        self._residents.clear()

    def _load(self, name: str, path: Path, load: Loader[T], tell: Tell) -> None:
        if name in self._residents:
            return  # another job asked for it too, and its call came first
        size_bytes = find(name).size_bytes
        tell(ModelLoading(model=name, phase="read", done=0, total=size_bytes))
        self._make_room(size_bytes, tell)
        self._residents[name] = _Resident(load(path, self.device), size_bytes)
        logger.info("model.loaded", model=name, device=self.device, size_bytes=size_bytes)
        tell(ModelLoaded(model=name, device=self.device, size_bytes=size_bytes))

    def _make_room(self, size_bytes: int, tell: Tell) -> None:
        resident_bytes = sum(resident.size_bytes for resident in self._residents.values())
        while self._residents and resident_bytes + size_bytes > self._budget_bytes:
            name, resident = self._residents.popitem(last=False)
            resident_bytes -= resident.size_bytes
            tell(ModelUnloaded(model=name, reason="another model needs the room"))
