"""What may be asked of how a prompt guides a picture, beyond the weight of guidance."""

from pydantic import Field, StrictFloat

from protocol.params import Frozen, TaskParams


class SizeConditioning(Frozen):
    """What SDXL is told of the original size of the picture, over the size it works at."""

    positive: StrictFloat = Field(1.5, ge=0.1, le=3, description="For the prompt; above 1 asks for fine detail.")
    negative: StrictFloat = Field(0.8, ge=0.1, le=3, description="For the negative prompt.")
    end: StrictFloat = Field(0.3, ge=0, le=1, description="Share of the noise schedule after which it ends.")


class GuidanceParams(TaskParams):
    """What all generating tasks take of it."""

    sharpness: StrictFloat = Field(
        0.0, ge=0, le=30, description="Keep more grain and detail; 2 is moderate. Needs guidance."
    )
    adaptive_guidance: StrictFloat | None = Field(
        None, ge=1, le=30, description="Begin with this weight of guidance where it is less than `guidance_scale`."
    )
    size_conditioning: SizeConditioning | None = Field(
        None, description="Tell an SDXL model of other original sizes; `{}` as recommended."
    )
    control_softness: StrictFloat = Field(
        0.0, ge=0, le=1, description="How much less ControlNets hold the details than the composition."
    )
