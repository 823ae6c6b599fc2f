"""What may be asked of the tasks that change a mask, or the faces of a picture."""

from enum import StrEnum

from pydantic import Field, StrictBool, StrictFloat, StrictInt

from protocol.editing import UpscaleModel
from protocol.params import ImageRef, PictureOutParams, TaskParams


class MaskOperation(StrEnum):
    """What becomes of a mask."""

    EXPAND = "expand"
    SHRINK = "shrink"
    REVERSE = "reverse"
    """What was repainted is kept, and the other way round."""


class MaskShape(StrEnum):
    """What a mask is widened or narrowed by."""

    DISC = "disc"
    BOX = "box"
    """Corners stay corners."""


class AdjustMaskParams(TaskParams):
    """Widen a mask, narrow it or turn it round. Always PNG; white repaints."""

    mask: ImageRef
    operation: MaskOperation
    by_px: StrictInt = Field(5, ge=0, le=256, description="How far its edge moves; without effect on `reverse`.")
    shape: MaskShape = Field(MaskShape.DISC, description="How its corners grow.")
    threshold: StrictInt = Field(
        128, ge=0, le=255, description="How light a pixel of the file is that repaints: its luminance, of 255."
    )


class FaceModel(StrEnum):
    """What restores faces."""

    GFPGAN = "gfpgan"
    RESTOREFORMER = "restoreformer"


class RestoreFaceParams(PictureOutParams):
    """Make faces sharp and whole again that are small, blurred or damaged."""

    image: ImageRef
    model: FaceModel = FaceModel.GFPGAN
    min_confidence: StrictFloat = Field(0.5, ge=0.05, le=1, description="Faces found with less stay as they are.")
    enhance_background: StrictBool = Field(False, description="Clean the rest of the picture with Real-ESRGAN.")
    background_model: UpscaleModel = Field(UpscaleModel.AUTO, description="Which weights clean the rest.")
