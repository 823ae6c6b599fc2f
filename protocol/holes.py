"""How the repainted part of a picture is marked, shown to the model, begun and blended in: parameters of `inpaint`."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from protocol.editing import UpscaleModel
from protocol.params import Frozen
from protocol.retouching import MaskShape

MAX_BORDER_PX: Final = 4096
"""No side of a picture is moved out further than this."""

Border = Annotated[StrictInt, Field(ge=0, le=MAX_BORDER_PX)]


class Fill(StrEnum):
    """What a hole holds before the first step."""

    ORIGINAL = "original"
    """What is there; beyond the edges of the picture, their pixels over and over."""
    BLUR = "blur"
    """The colours around it, carried inwards."""


class Start(StrEnum):
    """What the noise of the first step is laid over."""

    PICTURE = "picture"
    NOISE = "noise"
    """Nothing: there is noise alone."""


class SoftEdge(StrEnum):
    """On which side of the mask's edge what was made fades into the picture."""

    INSIDE = "inside"
    OUTSIDE = "outside"


class InpaintPatch(StrEnum):
    """Fooocus' patches that turn an SDXL model into one for inpainting."""

    V1 = "v1"
    V2_5 = "v2.5"
    V2_6 = "v2.6"


class HoleParams(Frozen):
    """A mask beyond a plain one, and what the model sees around it."""

    fit_mask: StrictBool = Field(False, description="Bring a mask of another size to that of the image.")
    grow_shape: MaskShape = Field(MaskShape.DISC, description="What `grow_px` grows the mask by.")
    invert_mask: StrictBool = Field(False, description="Repaint all but the mask; after it was grown.")
    left: Border = 0
    top: Border = 0
    right: Border = 0
    bottom: Border = 0
    context: StrictFloat | None = Field(
        None, ge=0, le=1, description="Show the model a square around the mask, or this share of both sides if larger."
    )
    upscale_model: UpscaleModel | None = Field(
        None, description="Enlarge with Real-ESRGAN what is shown to the model, where it is smaller than the model's."
    )
    fill: Fill = Field(Fill.ORIGINAL, description="What the hole holds before the first step.")
    start: Start | None = Field(
        None, description="What the first noise is laid over; by default nothing, below strength 1 the picture."
    )
    soft_edge: SoftEdge = Field(SoftEdge.INSIDE, description="On which side of the mask's edge `mask_blur_px` is.")
    inpaint_patch: InpaintPatch | None = Field(
        None, description="Lay one of Fooocus' patches for inpainting over an SDXL model."
    )
