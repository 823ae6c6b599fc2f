"""Pictures beside the prompt: what ControlNets make the result follow, and what IP-Adapters take for a prompt."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StrictFloat, model_validator

from protocol.params import Frozen, ImageRef, ModelName

MAX_GUIDES: Final = 4
"""Of each sort in one request."""

Scale = Annotated[StrictFloat, Field(ge=0, le=2)]
Share = Annotated[StrictFloat, Field(ge=0, le=1)]


class Preprocess(StrEnum):
    """What a control picture is made of another picture by."""

    NONE = "none"
    """It is one already."""
    CANNY = "canny"
    """Its edges, white on black."""
    INPAINT = "inpaint"
    """It with what is repainted left out; of the job's own picture alone."""


class _During(Frozen):
    """Counts for a part of the steps."""

    start: Share = Field(0.0, description="Share of the steps before it begins.")
    end: Share = Field(1.0, description="Share of the steps after which it ends.")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.start >= self.end:
            raise ValueError("needs a start before its end")
        return self


class ControlRef(_During):
    """A ControlNet, and the picture it makes the result follow."""

    model: ModelName
    image: ImageRef | None = Field(None, description="Without one it is made of the job's own picture.")
    preprocess: Preprocess = Field(Preprocess.NONE, description="How the control picture is made of the image.")
    scale: Scale = Field(1.0, description="How much it counts.")

    @model_validator(mode="after")
    def _has_something_to_follow(self) -> Self:
        if self.preprocess is Preprocess.NONE and self.image is None:
            raise ValueError("needs an image, or a preprocess that makes one of the job's own")
        if self.preprocess is Preprocess.INPAINT and self.image is not None:
            raise ValueError("needs no image: preprocess inpaint takes the job's own")
        return self


class Shown(StrEnum):
    """What of a picture is taken for a prompt."""

    PICTURE = "picture"
    """All of it."""
    FACE = "face"
    """The largest face in it, upright; all of it if there is none."""


class PromptFit(StrEnum):
    """How a picture comes to be the square that an image encoder looks at."""

    CROP = "crop"
    """Its middle, as IP-Adapters were trained."""
    SQUASH = "squash"
    """All of it, its sides made alike."""


class ImagePromptRef(_During):
    """An IP-Adapter, and the picture it takes for a prompt."""

    model: ModelName
    image: ImageRef
    weight: Scale = Field(1.0, description="How much it counts.")
    kind: Shown = Field(Shown.PICTURE, description="What of the picture is taken.")
    fit: PromptFit = Field(PromptFit.CROP, description="How that becomes a square.")
