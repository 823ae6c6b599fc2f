"""What may be asked of the tasks that make pictures with a diffusion model.

Where a parameter is left out, the model's own default counts: its size, steps, guidance scale and scheduler.
"""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from protocol.brushnet import BrushedParams
from protocol.enhancing import EnhancingParams
from protocol.finishing import FinishingParams
from protocol.guidance import GuidanceParams
from protocol.guides import MAX_GUIDES, ControlRef, ImagePromptRef, Preprocess
from protocol.holes import Border, HoleParams
from protocol.params import MAX_SIDE_PX, Frozen, ImageRef, LongSeed, ModelName, PictureOutParams, Region
from protocol.performance import Performance
from protocol.presets import PresetName
from protocol.prompting import PromptingParams
from protocol.refining import RefiningParams
from protocol.repainting import InstructedParams, KeptParams, RepaintingParams
from protocol.replay import UPSCALE_STRENGTH, ReplayParams, ResizingParams, SizeRule
from protocol.sampling import NoiseSchedule, SchedulerName

MAX_GENERATED_SIDE_PX = 4096
"""No generated picture is asked wider or higher than this."""

MAX_LORAS = 16
MAX_LORA_WEIGHT = 4

Side = Annotated[StrictInt, Field(ge=16, le=MAX_GENERATED_SIDE_PX)]


class LoraRef(Frozen):
    """A LoRA and how much it counts."""

    name: ModelName
    weight: StrictFloat = Field(1.0, ge=-MAX_LORA_WEIGHT, le=MAX_LORA_WEIGHT, description="0 is without effect.")


FreeUWeight = Annotated[StrictFloat, Field(ge=0.01, le=4)]


class FreeU(Frozen):
    """What FreeU multiplies by; what is left out is as recommended for the model's family."""

    b1: FreeUWeight | None = Field(None, description="Backbone features of the first stage.")
    b2: FreeUWeight | None = Field(None, description="Backbone features of the second stage.")
    s1: FreeUWeight | None = Field(None, description="Skip features of the first stage.")
    s2: FreeUWeight | None = Field(None, description="Skip features of the second stage.")


class GenerationParams(
    PromptingParams, GuidanceParams, RefiningParams, EnhancingParams, FinishingParams, PictureOutParams
):
    """What all generating tasks take."""

    has_picture: ClassVar[bool] = True
    """Whether the task starts from a picture."""
    has_hole: ClassVar[bool] = False
    """Whether a part of that is repainted."""

    prompt: str = Field(max_length=20_000, description="What to see. `(word:1.3)` and `[word]` weigh; BREAK parts.")
    negative_prompt: str = Field("", max_length=20_000, description="What not to see; needs a guidance scale above 1.")
    model: ModelName | None = Field(None, description="By default the server's default model.")
    vae: ModelName | None = Field(None, description="A VAE to use instead of the model's own.")
    loras: tuple[LoraRef, ...] = Field(
        (), max_length=MAX_LORAS, description="Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt."
    )
    freeu: FreeU | None = Field(None, description="Weigh the halves of a UNet; `{}` as recommended.")
    controls: tuple[ControlRef, ...] = Field((), max_length=MAX_GUIDES, description="ControlNets, each with a picture.")
    image_prompts: tuple[ImagePromptRef, ...] = Field(
        (), max_length=MAX_GUIDES, description="IP-Adapters, each with a picture taken for a prompt."
    )
    images: StrictInt = Field(1, ge=1, le=64, description="How many.")
    preset: PresetName | None = Field(None, description="As `/v1/presets` lists it: gives what the request leaves out.")
    performance: Performance | None = Field(None, description="A mode of speed: steps, and what few steps need.")
    steps: StrictInt | None = Field(None, ge=1, le=500, description="Denoising steps.")
    guidance_scale: StrictFloat | None = Field(
        None, ge=0, le=100, description="Classifier-free guidance weight; 1 or less is off."
    )
    scheduler: SchedulerName | None = Field(None, description="The noise scheduler, also called sampler.")
    noise_schedule: NoiseSchedule | None = Field(None, description="How the noise levels are spread over the steps.")
    eta: StrictFloat | None = Field(None, ge=0, le=1, description="Fresh noise in each step; for `ddim` and `tcd`.")
    seed: LongSeed | None = Field(None, description="Without one the server picks; the output tells which.")
    vary_seed: StrictBool = Field(True, description="Image i has the seed `seed` + i; else all have the same.")
    clip_skip: StrictInt = Field(
        0, ge=-1, le=11, description="Last layers of the text encoder to leave out beside what the family leaves out."
    )
    deterministic: StrictBool = Field(
        False, description="Run every step alone: byte for byte the same file, whatever else runs; slower under load."
    )
    preview_px: StrictInt = Field(256, ge=32, le=1024, description="Longest side of a preview.")

    @model_validator(mode="after")
    def _controls_have_what_they_are_made_of(self) -> Self:
        for number, control in enumerate(self.controls):
            if control.image is None and not self.has_picture:
                raise ValueError(f"controls[{number}] needs an image: the task has none of its own")
            if control.preprocess is Preprocess.INPAINT and not self.has_hole:
                raise ValueError(f"controls[{number}]: preprocess inpaint is for inpaint and outpaint")
        return self


class TextToImageParams(GenerationParams):
    """Make pictures from a prompt."""

    has_picture: ClassVar[bool] = False

    width: Side | None = None
    height: Side | None = None


class ImageToImageParams(InstructedParams, ResizingParams, ReplayParams, GenerationParams):
    """Make pictures from a prompt and a picture to start from."""

    image: ImageRef
    strength: StrictFloat = Field(
        0.75, ge=0, le=1, description="Share of the noise schedule replayed; 0 changes least."
    )
    width: Side | None = Field(None, description="By default the picture's own.")
    height: Side | None = None

    @model_validator(mode="before")
    @classmethod
    def _changes_an_enlarged_picture_less(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("upscale") is not None and "strength" not in given:
            return {**given, "strength": UPSCALE_STRENGTH}
        return given

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        is_sized = self.width is not None or self.height is not None
        if is_sized + (self.upscale is not None) + (self.size_rule is not SizeRule.PICTURE) > 1:
            raise ValueError("needs one of width and height, upscale, and size_rule")
        if self.upscale_model is not None and self.upscale is None:
            raise ValueError("needs an upscale for its upscale_model")
        return self


class InpaintParams(
    RepaintingParams, KeptParams, InstructedParams, HoleParams, BrushedParams, ReplayParams, GenerationParams
):
    """Repaint by the prompt what mask or regions cover, or lies beyond the picture. All else keeps its value."""

    has_hole: ClassVar[bool] = True

    image: ImageRef
    mask: ImageRef | None = Field(None, description="Same size as the image; white (1) is repainted.")
    regions: tuple[Region, ...] = Field((), max_length=1000)
    strength: StrictFloat = Field(1.0, ge=0, le=1, description="1 forgets what was there; less starts from it.")
    grow_px: StrictInt = Field(0, ge=-256, le=256, description="Widen the mask; below 0, narrow it.")
    mask_blur_px: StrictInt = Field(4, ge=0, le=256, description="Width of the soft edge, inside the mask.")
    crop: StrictBool = Field(True, description="Work on the masked part and its surroundings, in the model's own size.")
    crop_margin_px: StrictInt = Field(32, ge=0, le=MAX_SIDE_PX, description="Surroundings shown to the model.")
    area: Region | None = Field(
        None, description="Work on this part alone, and show the model no more; the mask outside it does not count."
    )
    scale: StrictFloat = Field(1.0, ge=0.05, le=1, description="Show the model what it sees this much smaller.")
    match_histograms: StrictBool = Field(
        False, description="Shift the colours of what was made as the model shifted those of its surroundings."
    )

    @model_validator(mode="after")
    def _has_something_to_repaint(self) -> Self:
        is_wider = bool(self.left or self.top or self.right or self.bottom)
        if self.mask is None and not self.regions and not is_wider:
            raise ValueError("needs a mask, at least one region, or one of left, top, right and bottom above 0")
        if self.area is not None and (is_wider or self.context is not None):
            raise ValueError("needs no area beside a context or a side above 0")
        return self


class OutpaintParams(RepaintingParams, BrushedParams, ReplayParams, GenerationParams):
    """Enlarge the canvas and paint what lies beyond the picture. The picture itself keeps its pixels."""

    has_hole: ClassVar[bool] = True

    image: ImageRef
    left: Border = 0
    top: Border = 0
    right: Border = 0
    bottom: Border = 0
    strength: StrictFloat = Field(1.0, ge=0, le=1, description="1 starts from noise; less from stretched edges.")
    overlap_px: StrictInt = Field(16, ge=0, le=256, description="Rim of the picture that may change, to hide the seam.")

    @model_validator(mode="after")
    def _has_a_side(self) -> Self:
        if not (self.left or self.top or self.right or self.bottom):
            raise ValueError("needs at least one of left, top, right and bottom above 0")
        return self


class EnhanceParams(GenerationParams):
    """Rework a given picture, and repaint what is found in it. See `enhance`, which it needs."""

    image: ImageRef

    @model_validator(mode="after")
    def _has_stages(self) -> Self:
        if self.enhance is None:
            raise ValueError("needs an enhance")
        return self
