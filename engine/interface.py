"""What the service may know of the engine, and what a task may know of the executor. Imports no torch.

Two sides meet here:

    service  ->  Engine      start, submit, cancel, stop; events come back through an `EventSink`
    executor ->  LiveJob     resume(value or error) -> Call (what it needs done next) or Done

A job is suspended whenever it is not being resumed, and it says what it waits for: a `Call`. So the executor may
run that call, run several compatible ones as one, leave it for more urgent work, or throw a cancel into the job.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from protocol.errors import ErrorCode
from protocol.events import EventBody
from protocol.params import TaskParams
from protocol.requests import Previews, TaskName

PREVIEW_MAX_SIDE_PX: Final = 256
"""Longest side of a preview nobody asked to be larger."""


class EngineError(Exception):
    """A job cannot go on, for a reason the client should see as it is.

    Args:
        code: one of the job error codes.
        message: what was wrong and what to do; shown to the client.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class OutOfMemory(Exception):
    """Thrown into a job, once, after its call ran out of memory and the caches were freed.

    A job that can do the same in a smaller configuration catches it and yields the smaller call; one that does not
    fails with `out_of_memory`.
    """


class JobClosed(BaseException):
    """Thrown into a job to end it: cancelled, or handed back at shutdown. Not an Exception: no job may swallow it."""


class ImageSkipped(BaseException):
    """Thrown into a job to leave out the image it is at; `RunContext.image` catches it. Not an Exception, as above."""


class Where(StrEnum):
    """Where a call runs."""

    DEVICE = "device"
    POOL = "pool"
    """Beside the device thread: needs no device and releases the interpreter lock (files, OCR, PatchMatch)."""
    OUTSIDE = "outside"
    """On a thread of its own: waits for something that happens elsewhere, and calculates nothing."""


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


class CallGroup(Protocol):
    """Calls that carry an equal group may be run as one."""

    @property
    def limit(self) -> int:
        """The most calls one run may take, at least 1."""
        ...

    def run(self, payloads: Sequence[object]) -> Sequence[object]:
        """Run the calls with these payloads as one; results in the same order. On the executor thread."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A piece of work a job waits for.

    Attributes:
        run: does it, alone; what it returns, or raises, is what the job is resumed with.
        where: on the executor thread, or on the side pool.
        stage: names it in timings and in the report of one that took too long.
        deadline_s: after this long the job is failed; None takes the executor's own limit.
        group, payload: for device calls that can be run together; see `CallGroup`.
    """

    run: Callable[[], Any]
    where: Where = Where.DEVICE
    stage: str = "step"
    deadline_s: float | None = None
    group: CallGroup | None = None
    payload: object = None


@dataclass(frozen=True, slots=True)
class Done:
    """A live job has nothing left to do."""


DONE: Final = Done()
Steps: TypeAlias = Generator[Call, Any, None]
"""A task as a generator: it yields calls and is sent their results."""


class LiveJob(Protocol):
    """A job that has begun. All methods are for the executor thread."""

    def resume(self, value: object = None, error: BaseException | None = None) -> Call | Done:
        """Go on to the next call.

        Args:
            value: the result of the call it waited for (None the first time).
            error: raised inside the job instead, if given.

        Raises:
            BaseException: whatever the job raised; it has ended then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What goes first, among waiting jobs and among live ones: the smaller."""

    is_batch: bool
    priority: int
    """0 is the most urgent."""
    turn: int
    """The number of the job in the order admission let them through: fair share and age are already in it."""
    share: str = ""
    """Live jobs of one share take turns with those of others on the device; the API key."""

    def key(self) -> tuple[bool, int, int]:
        """What sorts waiting work; on the device, the time each share has had comes before `turn`."""
        return (self.is_batch, self.priority, self.turn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at one job, as the engine gets it."""

    job_id: str
    attempt: int
    task: TaskName
    params: TaskParams
    order: Order
    previews: Previews = Previews.LATEST
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Image parameter -> file, checked to be a whole picture within the pixel cap."""
    input_pixels: int = 0
    """Of all inputs together; what memory estimates start from."""
    first_image: int = 0
    """Images before this one have their output already: an earlier attempt made them."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A published file that the engine needs.

    Attributes:
        url: where it is published.
        target: what it is to be called, once it is whole and right.
        md5: of its contents, 32 hexadecimal digits; "" checks nothing.
        size_bytes: an estimate.
    """

    url: str
    target: Path
    md5: str
    size_bytes: int


class DownloadFailed(Exception):
    """A file could not be had; the message says why, in words for a person."""


class Coming(Protocol):
    """Files on their way."""

    def wait(self, timeout_s: float) -> bool:
        """Whether they are all there; blocks for so long at most. From any thread but the event loop's.

        Raises:
            DownloadFailed: they will not be.
        """
        ...


class Downloader(Protocol):
    """Brings published files, and tells of it (`model.loading`, `model.added`, `model.failed`). From any thread."""

    def begin(self, model: str, files: Sequence[WantedFile]) -> Coming:
        """Begin to bring the files of a model, or find that under way. What has arrived before need not come again.

        Args:
            model: what the events call it.
        """
        ...


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


class Backend(Protocol):
    """What an executor runs: the tasks and the device under them. For the executor thread, but where it says so."""

    def load(self) -> str:
        """Import what is heavy and find the device; returns its name. May take seconds.

        Raises:
            Exception: nothing can run; the message says why.
        """
        ...

    def budget_bytes(self) -> int:
        """Memory that live jobs may need together where they run, if nobody set it. Asked once, after `load`."""
        ...

    def prepare_pool_thread(self) -> None:
        """Called once on each thread of the side pool, after `load` and before the thread's first work."""
        ...

    def open(self, run: Run, context: "RunContext") -> LiveJob:
        """Begin a job, without doing any of its work."""
        ...

    def free_memory(self) -> None:
        """Give caches back, after a call ran out of memory."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool: ...

    def memory(self) -> ModelMemory:
        """See `Engine`. Any thread may ask, also before `load`."""
        ...

    def unload_model(self, name: str, reason: str) -> None:
        """See `Engine`."""
        ...

    def rest(self, idle_s: float) -> None:
        """Give back what nobody has used for so long."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImage:
    """A picture, or another document, as it will lie on disk."""

    content: bytes
    media_type: str
    width: int | None = None
    height: int | None = None


class RunContext(Protocol):
    """What a task is given to work with, beside its parameters."""

    run: Run

    def emit(self, body: EventBody) -> None:
        """Tell of something. From any thread."""
        ...

    def warn(self, code: str, message: str) -> None:
        """Say that something asked for has no effect, or less than asked (`job.warning`)."""
        ...

    def image(self, index: int) -> AbstractContextManager[None]:
        """Within it the job is at one of its images. If that is skipped, the block is left, and it is told."""
        ...

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        """Tell that step `step` (1-based) of `steps` is done, `progress` (0..1) of the whole job."""
        ...

    @property
    def wants_previews(self) -> bool:
        """Whether a preview made now would be used: the job asked for some and the throttle is open."""
        ...

    def preview(
        self, step: int, picture: Callable[[], Any], *, image: int = 0, max_px: int = PREVIEW_MAX_SIDE_PX
    ) -> None:
        """Show the image as it is now, if anyone wants to see it.

        Args:
            picture: makes (H, W, 3) RGB uint8, an ndarray; called on a side-pool thread, and not at all when no
                preview is due. Must not touch the device, nor memory the job goes on writing to.
            max_px: a larger picture is made smaller, to this longest side.
        """
        ...

    def output(
        self,
        index: int,
        encode: Callable[[], EncodedImage],
        *,
        seed: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Steps:
        """Encode and keep output `index` on the side pool, then tell (`output.ready`). Use with `yield from`."""
        ...
