"""What may be asked of `segment`."""

from enum import StrEnum
from typing import Self

from pydantic import Field, StrictInt, model_validator

from protocol.params import ImageRef, Point, Region, TaskParams


class SegmentModel(StrEnum):
    """Which network finds the object. All but `mobile_sam` are published files, fetched when first needed."""

    MOBILE_SAM = "mobile_sam"
    SAM_VIT_B = "sam_vit_b"
    SAM_VIT_L = "sam_vit_l"
    SAM_VIT_H = "sam_vit_h"
    SAM_HQ_VIT_B = "sam_hq_vit_b"
    SAM_HQ_VIT_L = "sam_hq_vit_l"
    SAM_HQ_VIT_H = "sam_hq_vit_h"
    SAM2_TINY = "sam2_tiny"
    SAM2_SMALL = "sam2_small"
    SAM2_BASE = "sam2_base"
    SAM2_LARGE = "sam2_large"
    SAM2_1_TINY = "sam2_1_tiny"
    SAM2_1_SMALL = "sam2_1_small"
    SAM2_1_BASE = "sam2_1_base"
    SAM2_1_LARGE = "sam2_1_large"


class SegmentParams(TaskParams):
    """A mask of the object under the clicks or in the box (Segment Anything). Always PNG; white is the object."""

    image: ImageRef
    points: tuple[Point, ...] = Field((), max_length=64)
    box: Region | None = None
    count: StrictInt = Field(1, ge=1, le=3, description="How many alternative masks, best first.")
    model: SegmentModel = SegmentModel.MOBILE_SAM

    @model_validator(mode="after")
    def _has_a_prompt(self) -> Self:
        if self.box is None and not any(point.include for point in self.points):
            raise ValueError("needs a box or at least one point with include true")
        return self
