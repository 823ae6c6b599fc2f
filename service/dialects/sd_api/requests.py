"""What clients of the Stable Diffusion API may send to be generated, and what that is as a job of ours.

Reading is as lenient as the original's: numbers may come as text, unknown fields are passed over, null is as good as
nothing. What is left out is the model's own, as there it was the configuration's.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, Field, FiniteFloat

from protocol.events import JobWarning
from protocol.generation import MAX_GENERATED_SIDE_PX
from protocol.params import LARGEST_SEED, OutputFormat
from protocol.requests import TaskName
from service.dialects.reading import Foreign
from service.dialects.sd_api.schedulers import SCHEDULERS, Scheduler

MOST_IMAGES: Final = 10


class Extension(StrEnum):
    """The file formats of results."""

    PNG = "png"
    JPG = "jpg"
    JPEG = "jpeg"


FORMATS: Final[Mapping[Extension, OutputFormat]] = {
    Extension.PNG: OutputFormat.PNG,
    Extension.JPG: OutputFormat.JPEG,
    Extension.JPEG: OutputFormat.JPEG,
}


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Side = Annotated[int, Field(ge=16, le=MAX_GENERATED_SIDE_PX)]


class GenerateRequest(Foreign):
    """`POST /api/v1/generate`."""

    prompt: Annotated[str, Field(max_length=20_000)]
    init_image: str | None = None
    negative_prompt: Annotated[str, Field(max_length=20_000)] | None = None
    width: Side | None = None
    height: Side | None = None
    num_images: Annotated[int, Field(ge=1, le=MOST_IMAGES)] | None = 1
    num_inference_steps: Annotated[int, Field(ge=1, le=500)] | None = None
    guidance_scale: Annotated[FiniteFloat, Field(ge=0, le=100)] | None = None
    strength: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    scheduler: Scheduler | None = None
    seed: int | None = None
    output_format: Annotated[Extension, BeforeValidator(_lower)] | None = Extension.PNG
    callback_url: str | None = None


class Order(NamedTuple):
    """A request as a job of ours.

    Attributes:
        notes: what of it has no effect.
    """

    task: TaskName
    params: Mapping[str, Any]
    notes: Sequence[JobWarning]


OUR_NAMES: Final[Mapping[str, str]] = {
    "prompt": "prompt",
    "init_image": "image",
    "negative_prompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "num_images": "images",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance_scale",
    "strength": "strength",
    "scheduler": "scheduler",
    "seed": "seed",
    "output_format": "format",
}
"""Field -> the parameter it is; `callback_url` is the webhook's."""


def order_of(asked: GenerateRequest) -> Order:
    """What a request means: with a picture to start from it is image to image."""
    given = {name: value for name in OUR_NAMES if (value := getattr(asked, name)) not in {None, ""}}
    idle: tuple[str, ...]
    if "init_image" in given:
        task, idle, reason = TaskName.IMAGE_TO_IMAGE, ("width", "height"), "the picture to start from has its own size"
    else:
        task, idle, reason = TaskName.TEXT_TO_IMAGE, ("strength",), "there is no picture to start from"
    notes = [
        JobWarning(code="parameter_unused", message=f"{name}: has no effect: {reason}")
        for name in idle
        if name in given
    ]
    params = {OUR_NAMES[name]: _value(name, value) for name, value in given.items() if name not in idle}
    return Order(task, {"prompt": "", **params}, notes)


def _value(name: str, value: Any) -> Any:
    """The value of a field as our own API takes it."""
    if isinstance(value, Scheduler):
        return SCHEDULERS[value].value
    if isinstance(value, Extension):
        return FORMATS[value].value
    # No number is refused, and none is drawn for one that is out of our range: the same has the same result.
    return value % (LARGEST_SEED + 1) if name == "seed" else value
