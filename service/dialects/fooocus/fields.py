"""What clients of the APIs that are built on Fooocus may ask, with its names, defaults and limits.

Reading is as lenient as the originals': numbers may come as text, and names that are not known are passed over.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat

from service.dialects.fooocus.choices import (
    DEFAULT_INPAINT_ENGINE,
    DEFAULT_LORA,
    DEFAULT_MODEL,
    DEFAULT_SAMPLER,
    DEFAULT_SCHEDULE,
    DEFAULT_STYLES,
    DEFAULT_SWAP,
    DEFAULT_VAE,
    NONE,
    GuideKind,
    Performance,
)
from service.dialects.fooocus.sizes import checked_aspect_ratio
from service.dialects.fooocus.switching import MOST_STEPS, NO_SWITCH
from service.dialects.reading import Foreign

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Scaler = Annotated[FiniteFloat, Field(ge=0.1, le=3)]
Overwrite = Annotated[FiniteFloat, Field(ge=-1, le=1)]
Switch = Annotated[FiniteFloat, Field(ge=NO_SWITCH, le=MOST_STEPS)]
"""Up to 1 a share of the steps, as Fooocus-API reads it; above, the number of a step, as its documents have it."""
OverwriteSide = Annotated[int, Field(ge=-1, le=2048)]
Threshold = Annotated[int, Field(ge=1, le=255)]
Growth = Annotated[int, Field(ge=-64, le=64)]
AspectRatio = Annotated[str, AfterValidator(checked_aspect_ratio)]
Strings = Annotated[tuple[str, ...], Field(max_length=1000)]


def _none_if_null(value: object) -> object:
    return NONE if value is None else value


ModelName = Annotated[str, BeforeValidator(_none_if_null)]
"""The documents have null, the programs `None`, for no model."""


class Lora(Foreign):
    """A LoRA, in one of Fooocus' slots."""

    enabled: bool = True
    model_name: str
    weight: FiniteFloat = Field(0.5, ge=-2, le=2)


class ImagePrompt(Foreign):
    """A picture given beside the prompt. 0 and null of `cn_stop` and `cn_weight` are what its kind has by default."""

    cn_img: str | None = None
    cn_stop: Share | None = 0.0
    cn_weight: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = 0.0
    cn_type: GuideKind = GuideKind.IMAGE_PROMPT


DEFAULT_LORAS = (
    Lora(model_name=DEFAULT_LORA, weight=0.1),
    *(Lora(model_name=NONE, weight=1.0) for _ in range(4)),
)


class CommonFields(Foreign):
    """What every generating request has."""

    prompt: str = ""
    negative_prompt: str = ""
    style_selections: Strings = DEFAULT_STYLES
    performance_selection: Performance = Performance.SPEED
    aspect_ratios_selection: AspectRatio = "1152*896"
    image_number: int = Field(1, ge=1, le=32)
    image_seed: int = -1
    sharpness: FiniteFloat = Field(2.0, ge=0, le=30)
    guidance_scale: FiniteFloat = Field(4.0, ge=1, le=30)
    base_model_name: str = DEFAULT_MODEL
    refiner_model_name: ModelName = NONE
    refiner_switch: FiniteFloat = Field(0.5, ge=0.1, le=1)
    loras: Annotated[tuple[Lora, ...], Field(max_length=1000)] = DEFAULT_LORAS
    read_wildcards_in_order: bool = False
    require_base64: bool = False
    async_process: bool = False
    webhook_url: str | None = ""


class AdvancedFields(Foreign):
    """What Fooocus keeps in its tabs for developers."""

    disable_preview: bool = False
    disable_intermediate_results: bool = False
    disable_seed_increment: bool = False
    adm_scaler_positive: Scaler = 1.5
    adm_scaler_negative: Scaler = 0.8
    adm_scaler_end: Share = 0.3
    adaptive_cfg: FiniteFloat = Field(7.0, ge=1, le=30)
    clip_skip: int = Field(2, ge=1, le=12)
    sampler_name: str = DEFAULT_SAMPLER
    scheduler_name: str = DEFAULT_SCHEDULE
    overwrite_step: int = Field(-1, ge=-1, le=200)
    overwrite_switch: Switch = -1
    overwrite_width: OverwriteSide = -1
    overwrite_height: OverwriteSide = -1
    overwrite_vary_strength: Overwrite = -1
    overwrite_upscale_strength: Overwrite = -1
    mixing_image_prompt_and_vary_upscale: bool = False
    mixing_image_prompt_and_inpaint: bool = False
    debugging_cn_preprocessor: bool = False
    skipping_cn_preprocessor: bool = False
    canny_low_threshold: Threshold = 64
    canny_high_threshold: Threshold = 128
    refiner_swap_method: str = DEFAULT_SWAP
    controlnet_softness: Share = 0.25
    freeu_enabled: bool = False
    freeu_b1: FiniteFloat = 1.01
    freeu_b2: FiniteFloat = 1.02
    freeu_s1: FiniteFloat = 0.99
    freeu_s2: FiniteFloat = 0.95
    debugging_inpaint_preprocessor: bool = False
    inpaint_disable_initial_latent: bool = False
    inpaint_engine: str = DEFAULT_INPAINT_ENGINE
    inpaint_strength: Share = 1.0
    inpaint_respective_field: Share = 1.0
    inpaint_advanced_masking_checkbox: bool = True
    invert_mask_checkbox: bool = False
    inpaint_erode_or_dilate: Growth = 0
    black_out_nsfw: bool = False
    vae_name: str = DEFAULT_VAE
    debugging_dino: bool = False
    dino_erode_or_dilate: Growth = 0
    debugging_enhance_masks_checkbox: bool = False
