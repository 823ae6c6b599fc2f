"""What a client may ask: one frozen type per task, with its ranges and defaults.

`TASKS` is the table everything else reads: which tasks exist, what their parameters are, which of those are
images, and whether somebody is waiting for the answer with a brush in hand (`is_interactive`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, HttpUrl, SerializeAsAny

from protocol.editing import (
    DescribeParams,
    EraseParams,
    RemoveBackgroundParams,
    RemoveTextParams,
    SegmentParams,
    TestPatternParams,
    UpscaleParams,
)
from protocol.errors import ErrorCode, ProtocolError
from protocol.generation import EnhanceParams, ImageToImageParams, InpaintParams, OutpaintParams, TextToImageParams
from protocol.loading import LoadModelParams
from protocol.params import Frozen, TaskParams
from protocol.retouching import AdjustMaskParams, RestoreFaceParams
from protocol.validation import parse


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


class TaskName(StrEnum):
    """The kinds of work there are."""

    ERASE = "erase"
    REMOVE_TEXT = "remove_text"
    UPSCALE = "upscale"
    REMOVE_BACKGROUND = "remove_background"
    SEGMENT = "segment"
    ADJUST_MASK = "adjust_mask"
    RESTORE_FACE = "restore_face"
    DESCRIBE = "describe"
    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    INPAINT = "inpaint"
    OUTPAINT = "outpaint"
    ENHANCE = "enhance"
    LOAD_MODEL = "load_model"
    TEST_PATTERN = "test_pattern"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What the rest of the program needs to know of a task without knowing the task."""

    params: type[TaskParams]
    is_interactive: bool
    """Somebody is waiting with a brush in hand: goes before batch work."""
    image_fields: tuple[str, ...] = ("image",)
    image_lists: tuple[str, ...] = ()
    """Lists whose items have an `image` each."""


_GUIDES: Final = ("controls", "image_prompts")

TASKS: Final[Mapping[TaskName, TaskSpec]] = {
    TaskName.ERASE: TaskSpec(EraseParams, is_interactive=True, image_fields=("image", "mask")),
    TaskName.REMOVE_TEXT: TaskSpec(RemoveTextParams, is_interactive=False),
    TaskName.UPSCALE: TaskSpec(UpscaleParams, is_interactive=False),
    TaskName.REMOVE_BACKGROUND: TaskSpec(RemoveBackgroundParams, is_interactive=False),
    TaskName.SEGMENT: TaskSpec(SegmentParams, is_interactive=True),
    TaskName.ADJUST_MASK: TaskSpec(AdjustMaskParams, is_interactive=True, image_fields=("mask",)),
    TaskName.RESTORE_FACE: TaskSpec(RestoreFaceParams, is_interactive=False),
    TaskName.DESCRIBE: TaskSpec(DescribeParams, is_interactive=False),
    TaskName.TEXT_TO_IMAGE: TaskSpec(TextToImageParams, is_interactive=False, image_fields=(), image_lists=_GUIDES),
    TaskName.IMAGE_TO_IMAGE: TaskSpec(ImageToImageParams, is_interactive=False, image_lists=_GUIDES),
    TaskName.INPAINT: TaskSpec(
        InpaintParams, is_interactive=False, image_fields=("image", "mask", "example"), image_lists=_GUIDES
    ),
    TaskName.OUTPAINT: TaskSpec(
        OutpaintParams, is_interactive=False, image_fields=("image", "example"), image_lists=_GUIDES
    ),
    TaskName.ENHANCE: TaskSpec(EnhanceParams, is_interactive=False, image_lists=_GUIDES),
    TaskName.LOAD_MODEL: TaskSpec(LoadModelParams, is_interactive=False, image_fields=()),
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


class Webhook(Frozen):
    """Where to POST the facts of a job, signed by the Standard Webhooks scheme."""

    url: HttpUrl
    events: tuple[WebhookEvent, ...] = Field(_ENDS, min_length=1, description="By default only the end of the job.")


Label = Annotated[str, Field(max_length=256)]


class JobRequest(Frozen):
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


class _Envelope(Frozen):
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
