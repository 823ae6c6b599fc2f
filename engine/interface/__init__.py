"""What the service may know of the engine, and what a task may know of the executor. Imports no torch.

Two sides meet here:

    service  ->  Engine      start, submit, cancel, stop; events come back through an `EventSink` (engine.py)
    executor ->  LiveJob     resume(value or error) -> Call (what it needs done next) or Done
    engine   ->  Downloader  brings published files (downloads.py)

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
