"""What may be asked of `erase`: by holes that are filled one after another, or by one model over the whole picture."""

from enum import StrEnum
from typing import Self

from pydantic import Field, StrictBool, StrictInt, model_validator

from protocol.params import MAX_SIDE_PX, ImageRef, PictureOutParams, Region, Seed


class FillMethod(StrEnum):
    """How the hole is filled when something is erased."""

    AUTO = "auto"
    PATCHMATCH = "patchmatch"
    TELEA = "telea"
    NAVIER_STOKES = "navier_stokes"


class EraseModel(StrEnum):
    """What makes the content of everything that is masked, at once."""

    LAMA = "lama"
    ANIME_LAMA = "anime-lama"
    LDM = "ldm"
    ZITS = "zits"
    MAT = "mat"
    FCF = "fcf"
    MANGA = "manga"
    MIGAN = "migan"
    CV2 = "cv2"
    PATCHMATCH = "patchmatch"


class HdStrategy(StrEnum):
    """What a model is shown of a picture that is large."""

    ORIGINAL = "original"
    """All of it, in its size."""
    RESIZE = "resize"
    """All of it, made smaller."""
    CROP = "crop"
    """The surroundings of each part of the mask, in their size."""


class LdmSampler(StrEnum):
    """How the model `ldm` goes from noise to a picture."""

    PLMS = "plms"
    DDIM = "ddim"


class EraseParams(PictureOutParams):
    """Remove what the mask or the regions cover and fill the hole from the rest of the picture."""

    image: ImageRef
    mask: ImageRef | None = Field(None, description="Same size as the image; white (1) is repainted.")
    regions: tuple[Region, ...] = Field((), max_length=1000)
    method: FillMethod = Field(
        FillMethod.AUTO,
        description="auto: patchmatch, or telea for a very thin mask. With the model cv2: telea or navier_stokes.",
    )
    grow_px: StrictInt = Field(4, ge=0, le=256, description="Widen the mask, so that it covers the object's rim.")
    feather_px: StrictInt = Field(2, ge=0, le=256, description="Width of the soft edge of the fill; 0 is a hard edge.")
    seed: Seed = 0
    model: EraseModel | None = Field(
        None, description="Fill everything masked with this model, at once; without it hole by hole, by `method`."
    )
    keep_unmasked: StrictBool = Field(True, description="What is not masked keeps its value, whatever a model made.")
    hd_strategy: HdStrategy = Field(HdStrategy.CROP, description="What a model is shown of a large picture.")
    hd_crop_trigger_px: StrictInt = Field(
        800, ge=0, le=MAX_SIDE_PX, description="A picture is cropped if its longer side is more than this."
    )
    hd_crop_margin_px: StrictInt = Field(
        128, ge=0, le=MAX_SIDE_PX, description="What a crop shows on each side of a part of the mask."
    )
    hd_resize_limit_px: StrictInt = Field(
        1280, ge=1, le=MAX_SIDE_PX, description="A picture is resized if its longer side is more than this, to this."
    )
    fill_radius_px: StrictInt = Field(
        4, ge=0, le=100, description="cv2: how far around a pixel its known neighbours count; 0 counts as 1."
    )
    ldm_steps: StrictInt = Field(20, ge=1, le=1000)
    ldm_sampler: LdmSampler = LdmSampler.PLMS
    zits_wireframe: StrictBool = Field(True, description="zits: look for straight lines first.")

    @model_validator(mode="after")
    def _has_something_to_erase(self) -> Self:
        if self.mask is None and not self.regions:
            raise ValueError("needs a mask or at least one region")
        return self

    @model_validator(mode="after")
    def _cv2_has_its_method(self) -> Self:
        if self.model is EraseModel.CV2 and self.method is FillMethod.PATCHMATCH:
            raise ValueError("method: with the model cv2 expected auto, telea or navier_stokes, got patchmatch")
        return self
