"""What a client may ask: one frozen type per task, with its ranges and defaults.

`TASKS` is the table everything else reads: which tasks exist, what their parameters are, which of those are
images, and whether somebody is waiting for the answer with a brush in hand (`is_interactive`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SerializeAsAny,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from protocol.errors import ErrorCode, ProtocolError
from protocol.validation import parse

MAX_SIDE_PX: Final = 16_384
"""No picture wider or higher than this is accepted or made; the server's own pixel cap may be lower."""


class Priority(StrEnum):
    """How urgent a job is among the others of its class."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Previews(StrEnum):
    """Which previews a job makes: none at all, throttled, or one for every step that has one."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class OutputFormat(StrEnum):
    """The file format of an output picture."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class FillMethod(StrEnum):
    """How the hole is filled when something is erased."""

    AUTO = "auto"
    PATCHMATCH = "patchmatch"
    TELEA = "telea"
    NAVIER_STOKES = "navier_stokes"


class UpscaleModel(StrEnum):
    """Which Real-ESRGAN weights upscale; `auto` takes the compact ones on a CPU and x4plus on a GPU."""

    AUTO = "auto"
    COMPACT = "compact"
    X4PLUS = "x4plus"
    X4PLUS_ANIME = "x4plus-anime"


class BackgroundResult(StrEnum):
    """What `remove_background` gives back: the subject on transparency, or the mask alone."""

    CUTOUT = "cutout"
    MASK = "mask"


ImageRef = Annotated[
    str,
    Field(
        min_length=1,
        description="A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`.",
    ),
]
Seed = Annotated[StrictInt, Field(ge=0, le=2**32 - 1)]


class _Frozen(BaseModel):
    # Strict about names and about numbers: "20" is not 20.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Region(_Frozen):
    """A rectangle in the pixels of the upright picture, origin top left; parts outside the picture are cut off."""

    x: StrictInt = Field(ge=-MAX_SIDE_PX, le=MAX_SIDE_PX)
    y: StrictInt = Field(ge=-MAX_SIDE_PX, le=MAX_SIDE_PX)
    width: StrictInt = Field(ge=1, le=MAX_SIDE_PX)
    height: StrictInt = Field(ge=1, le=MAX_SIDE_PX)


class Point(_Frozen):
    """A click in the pixels of the upright picture, origin top left."""

    x: StrictFloat = Field(ge=0, le=MAX_SIDE_PX)
    y: StrictFloat = Field(ge=0, le=MAX_SIDE_PX)
    include: StrictBool = Field(True, description="True: this belongs to the object. False: this does not.")


class TaskParams(_Frozen):
    """The parameters of some task; see `TASKS` for which type belongs to which."""


class _PictureOut(TaskParams):
    format: OutputFormat = OutputFormat.PNG
    quality: StrictInt = Field(90, ge=1, le=100, description="For JPEG and WebP.")


class EraseParams(_PictureOut):
    """Remove what the mask or the regions cover and fill the hole from the rest of the picture."""

    image: ImageRef
    mask: ImageRef | None = Field(None, description="Same size as the image; white (1) is repainted.")
    regions: tuple[Region, ...] = Field((), max_length=1000)
    method: FillMethod = Field(FillMethod.AUTO, description="auto: patchmatch, or telea for a very thin mask.")
    grow_px: StrictInt = Field(4, ge=0, le=256, description="Widen the mask, so that it covers the object's rim.")
    feather_px: StrictInt = Field(2, ge=0, le=256, description="Width of the soft edge of the fill; 0 is a hard edge.")
    seed: Seed = 0

    @model_validator(mode="after")
    def _has_something_to_erase(self) -> Self:
        if self.mask is None and not self.regions:
            raise ValueError("needs a mask or at least one region")
        return self


class RemoveTextParams(_PictureOut):
    """Remove writing: in the given regions, or wherever it is found. Masks follow the strokes of the letters."""

    image: ImageRef
    regions: tuple[Region, ...] | None = Field(
        None, max_length=1000, description="Where the writing is; without it, text is searched for."
    )
    min_confidence: StrictFloat = Field(0.8, ge=0, le=1, description="Found text below this recognition score stays.")
    method: FillMethod = FillMethod.AUTO
    grow_px: StrictInt | None = Field(
        None, ge=0, le=256, description="Widen the strokes; by default 12 % of the text height."
    )
    feather_px: StrictInt = Field(1, ge=0, le=256)
    seed: Seed = 0


class UpscaleParams(_PictureOut):
    """Enlarge with Real-ESRGAN, tile by tile."""

    image: ImageRef
    factor: StrictFloat = Field(2.0, ge=1, le=4, description="Output size over input size; need not be whole.")
    model: UpscaleModel = UpscaleModel.AUTO
    tile_px: StrictInt | None = Field(
        None, ge=32, le=2048, description="Side of a tile in input pixels; chosen by the device if not given."
    )


class RemoveBackgroundParams(_PictureOut):
    """Cut the subject out (U2-Net)."""

    image: ImageRef
    result: BackgroundResult = BackgroundResult.CUTOUT


class SegmentParams(TaskParams):
    """A mask of the object under the clicks or in the box (Segment Anything). Always PNG; white is the object."""

    image: ImageRef
    points: tuple[Point, ...] = Field((), max_length=64)
    box: Region | None = None
    count: StrictInt = Field(1, ge=1, le=3, description="How many alternative masks, best first.")

    @model_validator(mode="after")
    def _has_a_prompt(self) -> Self:
        if self.box is None and not any(point.include for point in self.points):
            raise ValueError("needs a box or at least one point with include true")
        return self


class DescribeParams(TaskParams):
    """Tags for a picture: what a classifier sees, text, faces and main colours. Tags, not a sentence."""

    image: ImageRef
    max_tags: StrictInt = Field(10, ge=1, le=100)


class TestPatternParams(_PictureOut):
    """Draw a deterministic pattern in steps: for trying a client, an installation or a load without any model."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    width: StrictInt = Field(256, ge=8, le=4096)
    height: StrictInt = Field(256, ge=8, le=4096)
    images: StrictInt = Field(1, ge=1, le=64)
    steps: StrictInt = Field(4, ge=0, le=1000, description="Steps per image; 0 finishes at once.")
    step_ms: StrictInt = Field(0, ge=0, le=10_000, description="How long a step holds the device.")
    seed: Seed = 0
    fail_at_step: StrictInt | None = Field(
        None, ge=1, le=1000, description="Raise in this step, to try error handling."
    )


class TaskName(StrEnum):
    """The kinds of work there are."""

    ERASE = "erase"
    REMOVE_TEXT = "remove_text"
    UPSCALE = "upscale"
    REMOVE_BACKGROUND = "remove_background"
    SEGMENT = "segment"
    DESCRIBE = "describe"
    TEST_PATTERN = "test_pattern"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What the rest of the program needs to know of a task without knowing the task."""

    params: type[TaskParams]
    is_interactive: bool
    """Somebody is waiting with a brush in hand: goes before batch work."""
    image_fields: tuple[str, ...] = ("image",)


TASKS: Final[Mapping[TaskName, TaskSpec]] = {
    TaskName.ERASE: TaskSpec(EraseParams, is_interactive=True, image_fields=("image", "mask")),
    TaskName.REMOVE_TEXT: TaskSpec(RemoveTextParams, is_interactive=False),
    TaskName.UPSCALE: TaskSpec(UpscaleParams, is_interactive=False),
    TaskName.REMOVE_BACKGROUND: TaskSpec(RemoveBackgroundParams, is_interactive=False),
    TaskName.SEGMENT: TaskSpec(SegmentParams, is_interactive=True),
    TaskName.DESCRIBE: TaskSpec(DescribeParams, is_interactive=False),
    TaskName.TEST_PATTERN: TaskSpec(TestPatternParams, is_interactive=False, image_fields=()),
}


class WebhookEvent(StrEnum):
    """The facts a webhook may ask for."""

    QUEUED = "job.queued"
    STARTED = "job.started"
    REQUEUED = "job.requeued"
    OUTPUT = "output.ready"
    WARNING = "job.warning"
    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


_ENDS: Final = (WebhookEvent.SUCCEEDED, WebhookEvent.FAILED, WebhookEvent.CANCELLED)


class Webhook(_Frozen):
    """Where to POST the facts of a job, signed by the Standard Webhooks scheme."""

    url: HttpUrl
    events: tuple[WebhookEvent, ...] = Field(_ENDS, min_length=1, description="By default only the end of the job.")


Label = Annotated[str, Field(max_length=256)]


class JobRequest(_Frozen):
    """One piece of work: a task, its parameters, and how to run and tell of it."""

    task: TaskName
    params: SerializeAsAny[TaskParams]
    priority: Priority = Priority.NORMAL
    previews: Previews = Previews.LATEST
    webhook: Webhook | None = None
    labels: Mapping[Label, Label] = Field(default_factory=dict, max_length=32)

    @property
    def is_interactive(self) -> bool:
        return TASKS[self.task].is_interactive


class _Envelope(_Frozen):
    task: str
    params: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    previews: Previews = Previews.LATEST
    webhook: Webhook | None = None
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=32)


def parse_job_request(value: object, *, at: str = "$") -> JobRequest:
    """Read what a client sent as a job request.

    Raises:
        ProtocolError: `unknown_task`, or `invalid_params` naming the first wrong field.
    """
    envelope = parse(_Envelope, value, at=at)
    try:
        task = TaskName(envelope.task)
    except ValueError:
        known = ", ".join(sorted(TASKS))
        message = f"task: {envelope.task[:60]!r} is not a task; there are {known}, at {at}.task"
        raise ProtocolError(ErrorCode.UNKNOWN_TASK, message, f"{at}.task") from None
    return JobRequest.model_construct(
        task=task,
        params=parse(TASKS[task].params, envelope.params, at=f"{at}.params"),
        priority=envelope.priority,
        previews=envelope.previews,
        webhook=envelope.webhook,
        labels=envelope.labels,
    )
