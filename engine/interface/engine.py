"""What the service may know of the engine: what it gives it, what it asks of it, and what it is told."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from engine.interface import Run
from protocol.events import EventBody


class Offload(StrEnum):
    """Where the weights of diffusion models are while they are not at work."""

    AUTO = "auto"
    """The first of the following that fits the budget for weights."""
    NEVER = "never"
    """On the device."""
    MODEL = "model"
    """In the machine's memory; each network comes to the device as a whole, for its calls."""
    LAYERS = "layers"
    """In the machine's memory; denoisers and text encoders come block by block, and pictures are decoded in tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutput:
    """Where an output ended up."""

    url: str
    size_bytes: int
    sha256: str


class OutputStore(Protocol):
    """Keeps outputs."""

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        """Keep `content`, whole or not at all. Called on a side-pool thread; may block.

        Raises:
            OSError: it could not be kept (disk full).
        """
        ...


class EventSink(Protocol):
    """Takes what the engine has to tell. Called from any thread, never blocks, never raises."""

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None: ...


class EngineStatus(StrEnum):
    """Whether the engine can work."""

    LOADING = "loading"
    READY = "ready"
    STUCK = "stuck"
    """A call outlived its deadline and has not come back; it cannot be killed."""
    FAILED = "failed"
    """It could not be loaded; nothing will run."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """A look at the engine, for readiness and metrics."""

    status: EngineStatus
    device: str
    live_jobs: int
    live_bytes: int
    budget_bytes: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ResidentModel:
    """A model in memory.

    Attributes:
        name: as in `Engine.resident_models`.
        size_bytes: on the device.
        home_bytes: in the machine's memory, of a model that comes to another device for its calls.
    """

    name: str
    size_bytes: int = 0
    home_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelMemory:
    """The models in memory.

    Attributes:
        budget_bytes: for all of them together on the device; 0 before it is known.
    """

    models: tuple[ResidentModel, ...] = ()
    budget_bytes: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(model.name for model in self.models)


class Engine(Protocol):
    """Runs jobs. Every method may be called from the event loop: none blocks, except `stop`."""

    def start(self, sink: EventSink, outputs: OutputStore, on_change: Callable[[], None]) -> None:
        """Begin to load in the engine's own thread, and return at once.

        Args:
            on_change: called from any thread whenever `has_room` may answer otherwise than before; must not block.
        """
        ...

    def has_room(self, run: Run) -> bool:
        """Whether `run` may become live now, within the memory budget."""
        ...

    def submit(self, run: Run) -> None:
        """Make a job live. Ends in one terminal event, or in `job.requeued` if the engine stops before."""
        ...

    def cancel(self, job_id: str, reason: str) -> None:
        """Ask that a live job end at its next call. A job that is not live is no error: it may just have ended."""
        ...

    def skip(self, job_id: str) -> None:
        """Ask that a live job leave out the image it is at, at its next call (`output.skipped`), and go on.

        One that is at none yet leaves out the first it comes to. A job that is not live is no error.
        """
        ...

    def state(self) -> EngineState: ...

    def resident_models(self) -> tuple[str, ...]:
        """The models in memory: `KIND:NAME`, as in `checkpoint:spark`, and the bare name of a packaged one."""
        ...

    def memory(self) -> ModelMemory:
        """Those models with their sizes."""
        ...

    def unload_model(self, name: str, reason: str) -> None:
        """Ask that a model leave memory, named as `resident_models` does; `model.unloaded` says that it did.

        One that jobs are using goes when the last of them has ended. One that is not there is no error.
        """
        ...

    def stop(self, timeout_s: float) -> bool:
        """Hand live jobs back (`job.requeued`) and end the thread. Blocks.

        Returns:
            False if a call was still running after `timeout_s`; it is left behind.
        """
        ...
