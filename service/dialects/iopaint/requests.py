"""What IOPaint's clients may send, with its defaults, its limits and its coercions.

Reading is as lenient as the original's: numbers and yes or no may come as text, unknown fields are passed over.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.dialects.reading import Foreign

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveShare = Annotated[float, Field(gt=0.0, le=1.0)]


class Cv2Flag(StrEnum):
    """Which of OpenCV's two methods fills."""

    NAVIER_STOKES = "INPAINT_NS"
    TELEA = "INPAINT_TELEA"


class PowerPaintTask(StrEnum):
    """What PowerPaint is asked for."""

    TEXT_GUIDED = "text-guided"
    CONTEXT_AWARE = "context-aware"
    SHAPE_GUIDED = "shape-guided"
    OBJECT_REMOVE = "object-remove"
    OUTPAINTING = "outpainting"


class MaskOperation(StrEnum):
    """How a mask is changed."""

    EXPAND = "expand"
    SHRINK = "shrink"
    REVERSE = "reverse"


class InpaintRequest(Foreign):
    """`POST /api/v1/inpaint`. Which fields count depends on the model."""

    image: str | None = None
    mask: str | None = None
    ldm_steps: int = 20
    ldm_sampler: str = "plms"
    zits_wireframe: bool = True
    hd_strategy: str = "Crop"
    hd_strategy_crop_trigger_size: int = 800
    hd_strategy_crop_margin: int = 128
    hd_strategy_resize_limit: int = 1280
    prompt: str = ""
    negative_prompt: str = ""
    use_croper: bool = False
    croper_x: int = 0
    croper_y: int = 0
    croper_height: int = 512
    croper_width: int = 512
    use_extender: bool = False
    extender_x: int = 0
    extender_y: int = 0
    extender_height: int = 640
    extender_width: int = 640
    sd_scale: PositiveShare = 1.0
    sd_mask_blur: int = 11
    sd_strength: Annotated[float, Field(le=1.0)] = 1.0
    sd_steps: int = 50
    sd_guidance_scale: float = 7.5
    sd_sampler: str = "UniPC"
    sd_seed: int = 42
    sd_match_histograms: bool = False
    sd_outpainting_softness: float = 20.0
    sd_outpainting_space: float = 20.0
    sd_lcm_lora: bool = False
    sd_keep_unmasked_area: bool = True
    cv2_flag: Cv2Flag = Cv2Flag.NAVIER_STOKES
    cv2_radius: int = 4
    paint_by_example_example_image: str | None = None
    p2p_image_guidance_scale: float = 1.5
    enable_controlnet: bool = False
    controlnet_conditioning_scale: Share = 0.4
    controlnet_method: str = "lllyasviel/control_v11p_sd15_canny"
    enable_brushnet: bool = False
    brushnet_method: str = "Sanster/brushnet_random_mask"
    brushnet_conditioning_scale: Share = 1.0
    enable_powerpaint_v2: bool = False
    powerpaint_task: PowerPaintTask = PowerPaintTask.TEXT_GUIDED
    fitting_degree: PositiveShare = 1.0


class SwitchModelRequest(Foreign):
    """`POST /api/v1/model`."""

    name: str


class SwitchPluginModelRequest(Foreign):
    """`POST /api/v1/switch_plugin_model`."""

    plugin_name: str
    model_name: str


class RunPluginRequest(Foreign):
    """`POST /api/v1/run_plugin_gen_image` and `run_plugin_gen_mask`. A click is x, y, label and perhaps a number."""

    name: str
    image: str
    clicks: list[list[int]] = Field(default_factory=list)
    scale: float = 2.0


class AdjustMaskRequest(Foreign):
    """`POST /api/v1/adjust_mask`."""

    mask: str
    operate: MaskOperation
    kernel_size: int = 5
