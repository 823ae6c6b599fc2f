"""Models in memory that is none: what the fake engine tells of loading and unloading."""

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from engine.interface.engine import ModelMemory, ResidentModel
from protocol.events import EventBody, ModelLoaded, ModelLoading, ModelUnloaded
from protocol.models import ModelInfo, ModelKind, ModelSettings
from protocol.requests import TaskName

Tell: TypeAlias = Callable[[EventBody], None]

FAKE_MODEL_BYTES: Final = 64 << 20
_BUDGET_BYTES: Final = 1 << 30
FAKE_MODEL: Final = ModelInfo(
    id="checkpoint:fake",
    name="fake",
    title="Fake checkpoint",
    tasks=(TaskName.TEXT_TO_IMAGE, TaskName.IMAGE_TO_IMAGE, TaskName.INPAINT, TaskName.OUTPAINT, TaskName.ENHANCE),
    licence="Apache-2.0",
    size_bytes=FAKE_MODEL_BYTES,
    is_present=True,
    kind=ModelKind.CHECKPOINT,
    family="sd1",
    source="embedded",
    is_default=True,
    defaults=ModelSettings(width=64, height=64, steps=4, guidance_scale=7.0),
)
"""The checkpoint that an engine without models lists, so that there is something to choose."""


def say_nothing(_body: EventBody) -> None:
    """Nobody listens."""


class FakeMemory:
    """Which models are said to be loaded. For the executor thread.

    Args:
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._used_at: dict[str, float] = {}
        self._memory = ModelMemory(budget_bytes=_BUDGET_BYTES)

    @property
    def memory(self) -> ModelMemory:
        """What is loaded, all of one size. Any thread may ask."""
        return self._memory

    def load(self, name: str) -> None:
        """Load a checkpoint, whichever it is."""
        resident = f"checkpoint:{name}"
        is_new = resident not in self._used_at
        self._used_at[resident] = time.monotonic()
        if is_new:
            self._list()
            self._tell(ModelLoading(model=resident, phase="device", done=0, total=FAKE_MODEL_BYTES))
            self._tell(ModelLoaded(model=resident, device="fake", size_bytes=FAKE_MODEL_BYTES))

    def unload(self, resident: str, reason: str) -> None:
        """Drop a model, named as `memory` does."""
        if self._used_at.pop(resident, None) is not None:
            self._list()
            self._tell(ModelUnloaded(model=resident, reason=reason))

    def unload_idle(self, idle_s: float) -> None:
        """Drop what was not used for so long."""
        before = time.monotonic() - idle_s
        for resident in [resident for resident, used_at in self._used_at.items() if used_at < before]:
            self.unload(resident, "nobody has used it for a while")

    def _list(self) -> None:
        models = tuple(ResidentModel(name, FAKE_MODEL_BYTES) for name in self._used_at)
        self._memory = ModelMemory(models, _BUDGET_BYTES)
