"""What is known of each family of models before any of its weights are read: sizes, defaults, pipelines. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from engine.library.records import Family, Prediction
from protocol.sampling import SchedulerName


class PipelineKind(StrEnum):
    """What a pipeline starts from."""

    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    INPAINT = "inpaint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDefaults:
    """What a request gets that leaves a parameter out.

    Attributes:
        guidance_scale: 1 or less is off.
        scheduler: None is the one the model was saved with.
        size_multiple: width and height are multiples of it, in pixels.
        show_px: pictures with a shorter side below this are enlarged to it when shown; None shows them as they are.
        knows_styles: whether the words that styles put into a prompt mean something to it.
    """

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: SchedulerName | None = None
    size_multiple: int = 8
    show_px: int | None = None
    knows_styles: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySpec:
    """One family.

    Attributes:
        native_px: the side its pictures were trained at, for models that do not say.
        scheduler: for models that come without one.
        pipelines: the diffusers classes, by what they start from; a kind that is not here it cannot do.
        config: the folder of component configurations for its single files, in `CONFIGS`; None: folders only.
        paints_anew: whether it can paint what is not there; one that cannot changes what is.
        packs_latents: whether the denoiser sees latents two by two, which doubles the size multiple.
    """

    native_px: int
    steps: int
    guidance_scale: float
    scheduler: SchedulerName | None = None
    pipelines: Mapping[PipelineKind, str] = field(default_factory=dict)
    config: str | None = None
    paints_anew: bool = True
    packs_latents: bool = False

    def defaults(self, *, vae_scale: int = 8, sample_size: object = None, is_saved_scheduler: bool) -> ModelDefaults:
        """The defaults of one model of the family.

        Args:
            vae_scale: pixels per latent.
            sample_size: latents per side, if the denoiser's configuration has one number for it.
            is_saved_scheduler: whether the model came with a scheduler of its own.
        """
        side = sample_size * vae_scale if isinstance(sample_size, int) and sample_size > 0 else self.native_px
        multiple = vae_scale * (2 if self.packs_latents else 1)
        # The stock pipelines refuse what is no multiple of 8, also where a latent is 4 pixels wide.
        multiple = max(8, multiple)
        side = max(multiple, side // multiple * multiple)
        return ModelDefaults(
            width=side,
            height=side,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            scheduler=None if is_saved_scheduler else self.scheduler,
            size_multiple=multiple,
        )


CONFIGS: Final = Path(__file__).parent / "configs"
"""Component configurations per family, without weights and vocabularies."""

_Classes = Mapping[PipelineKind, str]
_SD: Final[_Classes] = {
    PipelineKind.TEXT_TO_IMAGE: "StableDiffusionPipeline",
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusionImg2ImgPipeline",
    PipelineKind.INPAINT: "StableDiffusionInpaintPipeline",
}
_SD_INPAINT: Final[_Classes] = {PipelineKind.INPAINT: "StableDiffusionInpaintPipeline"}
_XL: Final[_Classes] = {
    PipelineKind.TEXT_TO_IMAGE: "StableDiffusionXLPipeline",
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusionXLImg2ImgPipeline",
    PipelineKind.INPAINT: "StableDiffusionXLInpaintPipeline",
}
_XL_INPAINT: Final[_Classes] = {PipelineKind.INPAINT: "StableDiffusionXLInpaintPipeline"}
# The refiner has learnt the last fifth of the noise levels alone: it has nothing to start a picture from noise with.
_XL_REFINER: Final[_Classes] = {kind: name for kind, name in _XL.items() if kind is not PipelineKind.TEXT_TO_IMAGE}
_SD3: Final[_Classes] = {
    PipelineKind.TEXT_TO_IMAGE: "StableDiffusion3Pipeline",
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusion3Img2ImgPipeline",
    PipelineKind.INPAINT: "StableDiffusion3InpaintPipeline",
}
_FLUX: Final[_Classes] = {
    PipelineKind.TEXT_TO_IMAGE: "FluxPipeline",
    PipelineKind.IMAGE_TO_IMAGE: "FluxImg2ImgPipeline",
    PipelineKind.INPAINT: "FluxInpaintPipeline",
}
_PIX2PIX: Final[_Classes] = {
    PipelineKind.IMAGE_TO_IMAGE: "StableDiffusionInstructPix2PixPipeline",
    # It changes all of a picture; of that, only what is masked is taken over.
    PipelineKind.INPAINT: "StableDiffusionInstructPix2PixPipeline",
}
_BY_EXAMPLE: Final[_Classes] = {PipelineKind.INPAINT: "PaintByExamplePipeline"}
_DPM: Final = SchedulerName.DPMPP_2M
_EULER: Final = SchedulerName.EULER

FAMILIES: Final[Mapping[Family, FamilySpec]] = MappingProxyType(
    {
        Family.SD1: FamilySpec(
            native_px=512, steps=25, guidance_scale=7.0, scheduler=_DPM, pipelines=_SD, config="sd1"
        ),
        Family.SD1_INPAINT: FamilySpec(
            native_px=512, steps=25, guidance_scale=7.0, scheduler=_DPM, pipelines=_SD_INPAINT, config="sd1_inpaint"
        ),
        Family.INSTRUCT_PIX2PIX: FamilySpec(
            native_px=512,
            steps=25,
            guidance_scale=7.0,
            scheduler=_DPM,
            pipelines=_PIX2PIX,
            config="instruct_pix2pix",
            paints_anew=False,
        ),
        Family.PAINT_BY_EXAMPLE: FamilySpec(
            native_px=512, steps=50, guidance_scale=5.0, scheduler=_DPM, pipelines=_BY_EXAMPLE
        ),
        Family.POWERPAINT: FamilySpec(
            native_px=512, steps=45, guidance_scale=7.5, scheduler=_DPM, pipelines=_SD_INPAINT
        ),
        Family.SD2: FamilySpec(
            native_px=768, steps=25, guidance_scale=7.0, scheduler=_DPM, pipelines=_SD, config="sd2"
        ),
        Family.SD2_INPAINT: FamilySpec(
            native_px=512, steps=25, guidance_scale=7.0, scheduler=_DPM, pipelines=_SD_INPAINT, config="sd2_inpaint"
        ),
        Family.SDXL: FamilySpec(
            native_px=1024, steps=30, guidance_scale=6.0, scheduler=_DPM, pipelines=_XL, config="sdxl"
        ),
        Family.SDXL_INPAINT: FamilySpec(
            native_px=1024, steps=30, guidance_scale=6.0, scheduler=_DPM, pipelines=_XL_INPAINT, config="sdxl_inpaint"
        ),
        Family.SDXL_REFINER: FamilySpec(
            native_px=1024, steps=30, guidance_scale=6.0, scheduler=_EULER, pipelines=_XL_REFINER, config="sdxl_refiner"
        ),
        Family.SD3: FamilySpec(native_px=1024, steps=28, guidance_scale=5.0, pipelines=_SD3, packs_latents=True),
        Family.FLUX: FamilySpec(native_px=1024, steps=28, guidance_scale=3.5, pipelines=_FLUX, packs_latents=True),
        # A denoiser nobody here knows: its pipelines come from diffusers' own map; 16 is a multiple for all of them.
        Family.OTHER: FamilySpec(native_px=1024, steps=28, guidance_scale=4.5, packs_latents=True),
    }
)
"""Every family that can be loaded."""


def config_folder(family: Family, prediction: Prediction | None) -> Path | None:
    """Where the component configurations for a single file of this family lie; None: it loads from folders only.

    Args:
        prediction: what the file says of itself. Of SD 2 the 768-pixel model predicts the velocity, the 512-pixel
            one the noise; a file that does not say is taken for the former.
    """
    name = FAMILIES[family].config if family in FAMILIES else None
    if family is Family.SD2 and prediction is Prediction.EPSILON:
        name = "sd2_base"
    return CONFIGS / name if name is not None else None
