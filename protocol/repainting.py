"""What may be asked of models that were trained for one way of repainting: by an example, by a task, by instruction."""

from enum import StrEnum

from pydantic import Field, StrictBool, StrictFloat

from protocol.params import Frozen, ImageRef


class RepaintTask(StrEnum):
    """What a PowerPaint model is to do with the hole."""

    TEXT_GUIDED = "text-guided"
    """Paint what the prompt names."""
    CONTEXT_AWARE = "context-aware"
    """Paint what the surroundings suggest; needs no prompt."""
    SHAPE_GUIDED = "shape-guided"
    """Paint what the prompt names in the shape of the mask, as closely as `fitting_degree` says."""
    OBJECT_REMOVE = "object-remove"
    """Paint background, and no thing."""
    OUTPAINTING = "outpainting"
    """Continue the picture beyond its edges."""


class InstructedParams(Frozen):
    """What models are told that change a picture by instruction; the prompt is the instruction."""

    image_guidance_scale: StrictFloat | None = Field(
        None, ge=1, le=100, description="InstructPix2Pix: how much it stays with the picture; 1.5 by itself."
    )


class RepaintingParams(Frozen):
    """What such models are told, in every task that fills a hole in a picture."""

    example: ImageRef | None = Field(None, description="Paint by Example: a picture of what to paint; it needs one.")
    repaint_task: RepaintTask | None = Field(
        None, description="PowerPaint: what is to be done. By itself text-guided; in outpaint, outpainting."
    )
    fitting_degree: StrictFloat | None = Field(
        None, ge=0, le=1, description="PowerPaint, shape-guided: how closely the mask's shape is followed; 1 by itself."
    )


class KeptParams(Frozen):
    """Whether a repainted picture stays as it was outside the mask."""

    keep_unmasked: StrictBool = Field(
        True, description="False: the output is what the model made of all it was shown, also outside the mask."
    )
