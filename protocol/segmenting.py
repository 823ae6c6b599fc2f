"""What may be asked of `segment`."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from protocol.params import Frozen, ImageRef, Point, Region, TaskParams

MAX_WORDS: Final = 1000
"""Characters; the detector reads 256 tokens."""
MAX_DETECTIONS: Final = 100


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


class WordSearch(Frozen):
    """What of a picture is looked for by words (Grounding DINO). All but the text counts beside a text alone."""

    text: str | None = Field(
        None, min_length=1, max_length=MAX_WORDS, description="Names of things: `face, hand`; all of each are found."
    )
    box_threshold: StrictFloat = Field(0.3, ge=0, le=1, description="What is found with a lower score is left out.")
    text_threshold: StrictFloat = Field(
        0.25, ge=0, le=1, description="Words with a lower score are no part of the label."
    )
    max_detections: StrictInt = Field(0, ge=0, le=MAX_DETECTIONS, description="At most so many, best first; 0 is all.")
    grow_box_px: StrictInt = Field(
        0, ge=-256, le=256, description="Widen the boxes that are searched for objects; below 0, narrow them."
    )


OF_WORDS: Final = ("box_threshold", "text_threshold", "max_detections", "grow_box_px", "together")
"""What of `SegmentParams` counts beside a text alone."""


class SegmentParams(WordSearch, TaskParams):
    """Masks of objects (Segment Anything) under clicks, in a box or named by words. Always PNG; white is an object."""

    image: ImageRef
    points: tuple[Point, ...] = Field((), max_length=64)
    box: Region | None = None
    count: StrictInt = Field(1, ge=1, le=3, description="How many alternative masks, best first; not with a text.")
    together: StrictBool = Field(True, description="With a text: one mask of all that is found. Else one for each.")
    model: SegmentModel = SegmentModel.MOBILE_SAM

    @model_validator(mode="after")
    def _is_asked_one_way(self) -> Self:
        has_prompt = self.box is not None or bool(self.points)
        if self.text is not None:
            if has_prompt or self.count > 1:
                raise ValueError("needs no points, box or count above 1 beside a text")
        elif self.box is None and not any(point.include for point in self.points):
            raise ValueError("needs a box, at least one point with include true, or a text")
        return self

    @property
    def unused(self) -> list[str]:
        """What was asked for that cannot count without a text."""
        return [] if self.text is not None else [name for name in OF_WORDS if name in self.model_fields_set]
