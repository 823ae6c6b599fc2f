"""What may be done to a picture once it is there: parts of it found and repainted, all of it made anew or enlarged."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from protocol.editing import BackgroundModel, Clothes, UpscaleModel
from protocol.holes import Fill, InpaintPatch, SoftEdge, Start
from protocol.params import Frozen, TaskParams
from protocol.replay import UPSCALE_STRENGTH, SizeRule
from protocol.retouching import MaskShape
from protocol.segmenting import SegmentModel, WordSearch

MAX_REGIONS: Final = 10
REWORK_STRENGTH: Final = 0.5
"""Of a picture that is made anew without being enlarged, where nobody gave a strength."""


class EnhancedRegion(WordSearch):
    """A part of a picture: how it is found, by words or as the subject, and how `inpaint` repaints it."""

    subject: BackgroundModel | None = Field(
        None, description="In the place of a text: the subject, as this model of remove_background finds it."
    )
    clothes: Clothes = Field(Clothes.ALL, description="With the subject model `u2net_cloth_seg`: which clothes.")
    model: SegmentModel = Field(SegmentModel.MOBILE_SAM, description="Cuts out what a text names.")
    prompt: str = Field("", max_length=20_000, description="What to see there; empty, the job's own.")
    negative_prompt: str = Field("", max_length=20_000, description="What not to see there; empty, the job's own.")
    strength: StrictFloat = Field(1.0, ge=0, le=1, description="As of inpaint, like all that follows.")
    full_steps: StrictBool = False
    grow_px: StrictInt = Field(0, ge=-256, le=256)
    grow_shape: MaskShape = MaskShape.DISC
    invert_mask: StrictBool = False
    mask_blur_px: StrictInt = Field(4, ge=0, le=256)
    soft_edge: SoftEdge = SoftEdge.INSIDE
    context: StrictFloat | None = Field(None, ge=0, le=1)
    upscale_model: UpscaleModel | None = None
    fill: Fill = Fill.ORIGINAL
    start: Start | None = None
    inpaint_patch: InpaintPatch | None = None

    @model_validator(mode="after")
    def _is_found_one_way(self) -> Self:
        if (self.text is None) == (self.subject is None):
            raise ValueError("needs one of text and subject")
        return self


class Moment(StrEnum):
    """When all of a picture is reworked."""

    BEFORE = "before"
    """Before the first region."""
    AFTER = "after"
    """After the last one."""


class ReworkPrompt(StrEnum):
    """Which prompts a rework follows."""

    OWN = "own"
    """Those of the job."""
    LAST_REGION = "last_region"
    """Those of the last region that has a prompt; the job's, if none has."""


class Rework(Frozen):
    """All of a picture made anew, as `image_to_image` does it, or enlarged."""

    when: Moment = Moment.BEFORE
    prompts: ReworkPrompt = Field(ReworkPrompt.OWN, description="Which it follows.")
    strength: StrictFloat | None = Field(None, ge=0, le=1, description="By default 0.5, with an upscale 0.382.")
    full_steps: StrictBool = Field(False, description="As of image_to_image, like all that follows.")
    size_rule: SizeRule = SizeRule.PICTURE
    upscale: StrictFloat | None = Field(None, ge=1, le=8)
    upscale_model: UpscaleModel | None = None
    redraw: StrictBool = Field(True, description="False: enlarged, and not made anew.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.upscale is None and not self.redraw:
            raise ValueError("needs an upscale where redraw is false")
        if self.upscale is None and self.upscale_model is not None:
            raise ValueError("needs an upscale for its upscale_model")
        if self.upscale is not None and self.size_rule is not SizeRule.PICTURE:
            raise ValueError("needs one of upscale and size_rule")
        return self

    @property
    def share(self) -> float:
        """The strength asked for, or the usual one."""
        if self.strength is not None:
            return self.strength
        return REWORK_STRENGTH if self.upscale is None else UPSCALE_STRENGTH


class Enhancing(Frozen):
    """What is done to a picture, one stage after the other."""

    regions: tuple[EnhancedRegion, ...] = Field(
        (), max_length=MAX_REGIONS, description="Repainted in this order, each in what the one before left."
    )
    rework: Rework | None = None
    keep_stages: StrictBool = Field(False, description="Make an output of every stage, not of the last alone.")

    @model_validator(mode="after")
    def _has_something_to_do(self) -> Self:
        if not self.regions and self.rework is None:
            raise ValueError("needs at least one region, or a rework")
        return self

    @property
    def stages(self) -> int:
        """How many there are."""
        return len(self.regions) + (self.rework is not None)


class EnhancingParams(TaskParams):
    """What all generating tasks take of it."""

    enhance: Enhancing | None = Field(None, description="What is done to each picture once it is made.")
