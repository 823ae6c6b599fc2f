"""How a picture is started from: what the tasks that start from one share, and the sizes of `image_to_image`."""

from enum import StrEnum
from typing import Final

from pydantic import Field, StrictBool, StrictFloat

from protocol.editing import UpscaleModel
from protocol.params import Frozen

UPSCALE_STRENGTH: Final = 0.382
"""Of an enlarged picture nobody gave a strength for: what is in it stays where it is."""


class SizeRule(StrEnum):
    """Which size a picture is brought to that nobody gave a size for."""

    PICTURE = "picture"
    """Its own."""
    MODEL = "model"
    """Between one and two sides of the model's own square, by its area."""


class ReplayParams(Frozen):
    """Of tasks that run a share of the noise schedule, their `strength`."""

    full_steps: StrictBool = Field(
        False, description="Run all steps within that share of the noise schedule, not that share of the steps."
    )


class ResizingParams(Frozen):
    """The size of a picture made from another."""

    size_rule: SizeRule = Field(SizeRule.PICTURE, description="The size where no width and height are given.")
    upscale: StrictFloat | None = Field(
        None, ge=1, le=8, description="Enlarge it so many times with Real-ESRGAN first. `strength` is then 0.382."
    )
    upscale_model: UpscaleModel | None = Field(None, description="The weights for `upscale`; by default `auto`.")
