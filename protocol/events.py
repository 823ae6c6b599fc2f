"""Everything the outside sees of a job: one frozen type per event, and the envelope they travel in.

A **fact** is stored before it is published, numbered `seq` = 1, 2, 3, ... within its job without a gap, and told to
every subscriber. A **hint** is not stored; a newer one replaces an older one of the same job (or model) and type. It
carries the `seq` of the last fact before it, the `attempt`, and a counter `n` that rises within the attempt.

Bodies are plain dataclasses (one is made for every step of every job); `pydantic` reads them back at the edge.
"""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import Field

from protocol.errors import ErrorBody
from protocol.requests import Priority, TaskName

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueued:
    """The job was accepted and stored. Always the first fact."""

    TYPE: ClassVar = "job.queued"
    task: TaskName
    priority: Priority
    attempt: Positive = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """The executor made the job live."""

    TYPE: ClassVar = "job.started"
    worker: str
    device: str
    attempt: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequeued:
    """A running job went back to the queue; work goes on after the last `output.ready` or `output.skipped`."""

    TYPE: ClassVar = "job.requeued"
    attempt: Positive
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReady:
    """An output is on disk, whole. `data` is what the task knows of it beside the file (tags, a score, regions).
    `public_url` is where a copy can be had without a key, where the server's operator has outputs copied."""

    TYPE: ClassVar = "output.ready"
    index: NonNegative
    url: str
    media_type: str
    size_bytes: NonNegative
    sha256: str
    width: Positive | None = None
    height: Positive | None = None
    seed: NonNegative | None = None
    timings: Mapping[str, Seconds] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None
    public_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSkipped:
    """A client had an image left out: there will be no output of this number. The job goes on with the next image."""

    TYPE: ClassVar = "output.skipped"
    index: NonNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWarning:
    """Something the client asked for had no effect, or less than asked. The job goes on."""

    TYPE: ClassVar = "job.warning"
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSucceeded:
    """Terminal: every output is there."""

    TYPE: ClassVar = "job.succeeded"
    duration_s: Seconds
    timings: Mapping[str, Seconds] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """Terminal: the job ended with an error; outputs that were ready stay."""

    TYPE: ClassVar = "job.failed"
    error: ErrorBody
    duration_s: Seconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled:
    """Terminal: the job was cancelled; outputs that were ready stay."""

    TYPE: ClassVar = "job.cancelled"
    reason: str
    duration_s: Seconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMoved:
    """Hint: `position` jobs are ahead; about `eta_s` until this one ends."""

    TYPE: ClassVar = "queue.moved"
    position: NonNegative
    eta_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """Hint: step `step` (1-based) of `steps` of image `image` (0-based) is done."""

    TYPE: ClassVar = "step.finished"
    image: NonNegative
    step: NonNegative
    steps: NonNegative
    progress: Share
    """Of the whole job."""
    eta_s: Seconds | None = None
    stage: str | None = None
    """What the steps are of, where a job has several kinds: detect, fill, tile, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewReady:
    """Hint: a throw-away thumbnail of the image as it is now."""

    TYPE: ClassVar = "preview.ready"
    image: NonNegative
    step: NonNegative
    width: Positive
    height: Positive
    media_type: str
    bytes: builtins.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRemoved:
    """Hint, the last of all: an ended job is gone with its facts and pictures; there is nothing left to ask for."""

    TYPE: ClassVar = "job.removed"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoading:
    """Server hint: a model is on its way; `done` of `total` bytes in this phase (`download`, `read`, `device`)."""

    TYPE: ClassVar = "model.loading"
    model: str
    phase: str
    done: NonNegative = 0
    total: NonNegative | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoaded:
    """Server hint: a model can be used."""

    TYPE: ClassVar = "model.loaded"
    model: str
    device: str
    size_bytes: NonNegative | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnloaded:
    """Server hint: a model left memory."""

    TYPE: ClassVar = "model.unloaded"
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAdded:
    """Server hint: a download has ended; the file is whole, checked, and in the models folder."""

    TYPE: ClassVar = "model.added"
    model: str
    size_bytes: NonNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFailed:
    """Server hint: a download came to nothing. Asked for again, it goes on where it broke off, if it can."""

    TYPE: ClassVar = "model.failed"
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDraining:
    """Server hint: the server will close its sockets soon; reconnect, to `reconnect_to` if it is given."""

    TYPE: ClassVar = "server.draining"
    reconnect_to: str | None = None


Fact: TypeAlias = (
    JobQueued
    | JobStarted
    | JobRequeued
    | OutputReady
    | OutputSkipped
    | JobWarning
    | JobSucceeded
    | JobFailed
    | JobCancelled
)
JobHint: TypeAlias = QueueMoved | StepFinished | PreviewReady | JobRemoved
ServerHint: TypeAlias = ModelLoading | ModelLoaded | ModelUnloaded | ModelAdded | ModelFailed | ServerDraining
EventBody: TypeAlias = Fact | JobHint | ServerHint

FACTS: Final[tuple[type[Fact], ...]] = (
    JobQueued, JobStarted, JobRequeued, OutputReady, OutputSkipped, JobWarning, JobSucceeded, JobFailed, JobCancelled,
)  # fmt: skip
TERMINAL_FACTS: Final[tuple[type[Fact], ...]] = (JobSucceeded, JobFailed, JobCancelled)
JOB_HINTS: Final[tuple[type[JobHint], ...]] = (QueueMoved, StepFinished, PreviewReady, JobRemoved)
SERVER_HINTS: Final[tuple[type[ServerHint], ...]] = (
    ModelLoading, ModelLoaded, ModelUnloaded, ModelAdded, ModelFailed, ServerDraining,
)  # fmt: skip
EVENTS: Final[Mapping[str, type[EventBody]]] = {body.TYPE: body for body in (*FACTS, *JOB_HINTS, *SERVER_HINTS)}
"""Event type on the wire -> type of its body."""


class Event:
    """One event as it goes to subscribers: a stamped body.

    Made once by the pump and shared by all subscribers; `frames` keeps its encoded form per codec, so that it is
    encoded once however many are watching. Treat it as frozen.

    Attributes:
        body: what happened.
        job_id: whose event it is; None for events of the server topic.
        seq: of this fact; of the last fact before this hint; 0 for events of the server topic.
        at: UTC, RFC 3339.
        attempt, n: hints only, see the module.
        cursor: facts only: where a subscriber of many jobs goes on from. Opaque.
        frames: codec name -> encoded bytes.
    """

    __slots__ = ("at", "attempt", "body", "cursor", "frames", "job_id", "n", "seq")

    def __init__(
        self,
        body: EventBody,
        *,
        at: str,
        job_id: str | None = None,
        seq: int = 0,
        attempt: int | None = None,
        n: int | None = None,
        cursor: str | None = None,
    ) -> None:
        self.body = body
        self.at = at
        self.job_id = job_id
        self.seq = seq
        self.attempt = attempt
        self.n = n
        self.cursor = cursor
        self.frames: dict[str, builtins.bytes] = {}

    @property
    def type(self) -> str:
        return self.body.TYPE

    @property
    def is_fact(self) -> bool:
        return self.n is None

    @property
    def is_terminal(self) -> bool:
        return isinstance(self.body, TERMINAL_FACTS)

    @property
    def about(self) -> str | None:
        """The job, or of the server topic the model: what newer hints of this type replace older ones of."""
        return self.job_id or getattr(self.body, "model", None)

    def __repr__(self) -> str:
        return f"Event({self.type}, job={self.job_id}, seq={self.seq}, n={self.n})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.job_id, self.seq, self.attempt, self.n, self.type))

    def _identity(self) -> tuple[object, ...]:
        return (self.body, self.at, self.job_id, self.seq, self.attempt, self.n, self.cursor)
