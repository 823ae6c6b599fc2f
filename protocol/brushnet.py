"""What may be asked of a BrushNet: a network that shows the model what is kept of a picture, layer by layer."""

from typing import Self

from pydantic import Field, StrictFloat, model_validator

from protocol.params import Frozen, ModelName


class BrushNet(Frozen):
    """A BrushNet, and how much it counts."""

    model: ModelName
    scale: StrictFloat = Field(1.0, ge=0, le=2, description="How much it counts.")
    start: StrictFloat = Field(0.0, ge=0, le=1, description="Share of the steps before it begins.")
    end: StrictFloat = Field(1.0, ge=0, le=1, description="Share of the steps after which it ends.")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.start >= self.end:
            raise ValueError("needs a start before its end")
        return self


class BrushedParams(Frozen):
    """What the tasks take in which a part of a picture is kept."""

    brushnet: BrushNet | None = Field(None, description="A BrushNet, which shows the model what is kept.")
