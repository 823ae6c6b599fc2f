"""Pictures beside the prompt: what ControlNets make the result follow, and what IP-Adapters take for a prompt."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

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
    PYRA_CANNY = "pyra_canny"
    """Its edges at nine scales and in each colour, the more of them the brighter."""
    CPDS = "cpds"
    """It in greys that keep the contrasts of its colours."""
    DEPTH = "depth"
    """How near everything is, the nearest white."""
    OPENPOSE = "openpose"
    """The bodies in it, as coloured skeletons on black."""
    INPAINT = "inpaint"
    """It with what is repainted left out; of the job's own picture alone."""


WITH_THRESHOLDS: Final = frozenset({Preprocess.CANNY, Preprocess.PYRA_CANNY})
"""Those that find edges."""

Threshold = Annotated[StrictInt, Field(ge=1, le=255)]


class ControlFit(StrEnum):
    """How a picture that is given comes to lie over the output."""

    STRETCH = "stretch"
    """All of it, brought to the output's sides."""
    COVER = "cover"
    """Its middle, cut to the shape of the output."""


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
    fit: ControlFit = Field(ControlFit.STRETCH, description="How the image comes to lie over the output.")
    canny_low: Threshold | None = Field(None, description="Fainter edges are none; 100, or 64 for `pyra_canny`.")
    canny_high: Threshold | None = Field(None, description="Stronger ones always are; 200, or 128 for `pyra_canny`.")
    scale: Scale = Field(1.0, description="How much it counts.")

    @model_validator(mode="after")
    def _has_something_to_follow(self) -> Self:
        if self.preprocess is Preprocess.NONE and self.image is None:
            raise ValueError("needs an image, or a preprocess that makes one of the job's own")
        if self.preprocess is Preprocess.INPAINT and self.image is not None:
            raise ValueError("needs no image: preprocess inpaint takes the job's own")
        if self.fit is not ControlFit.STRETCH and self.image is None:
            raise ValueError("needs an image for its fit: the job's own lies over the output as it is")
        return self

    @model_validator(mode="after")
    def _has_edges_for_its_thresholds(self) -> Self:
        has_thresholds = self.canny_low is not None or self.canny_high is not None
        if has_thresholds and self.preprocess not in WITH_THRESHOLDS:
            raise ValueError("needs preprocess canny or pyra_canny for its canny_low and canny_high")
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
