"""The closed sets of Fooocus, in its own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.performance import Performance as OurPerformance
from protocol.recipes.words import mode_of


class Performance(StrEnum):
    """How much time a picture may take."""

    SPEED = "Speed"
    QUALITY = "Quality"
    EXTREME_SPEED = "Extreme Speed"
    LIGHTNING = "Lightning"
    HYPER_SD = "Hyper-SD"


OUR_PERFORMANCE: Final[Mapping[Performance, OurPerformance]] = {
    each: OurPerformance(mode_of(each.value)) for each in Performance
}
"""Total."""
USUAL_CLIP_SKIP: Final = 2
"""What skips nothing more than usual: our own `clip_skip` is counted from there."""


class UovMethod(StrEnum):
    """How a picture is varied or enlarged."""

    DISABLED = "Disabled"
    VARY_SUBTLE = "Vary (Subtle)"
    VARY_STRONG = "Vary (Strong)"
    UPSCALE_1_5 = "Upscale (1.5x)"
    UPSCALE_2 = "Upscale (2x)"
    UPSCALE_FAST_2 = "Upscale (Fast 2x)"
    UPSCALE_CUSTOM = "Upscale (Custom)"


class Side(StrEnum):
    """Where a picture is continued."""

    LEFT = "Left"
    RIGHT = "Right"
    TOP = "Top"
    BOTTOM = "Bottom"


class GuideKind(StrEnum):
    """What is taken from a picture that is given beside the prompt."""

    IMAGE_PROMPT = "ImagePrompt"
    FACE_SWAP = "FaceSwap"
    PYRA_CANNY = "PyraCanny"
    CPDS = "CPDS"


class MaskModel(StrEnum):
    """What finds the subject of a picture."""

    U2NET = "u2net"
    U2NETP = "u2netp"
    U2NET_HUMAN_SEG = "u2net_human_seg"
    U2NET_CLOTH_SEG = "u2net_cloth_seg"
    SILUETA = "silueta"
    ISNET_GENERAL_USE = "isnet-general-use"
    ISNET_ANIME = "isnet-anime"
    SAM = "sam"


class Extension(StrEnum):
    """Of the file of a picture."""

    PNG = "png"
    JPG = "jpg"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class GuideDefaults:
    """What counts for a kind of guide where a request has 0 or nothing.

    Attributes:
        stop: share of the steps after which it ends.
        weight: how much it counts.
    """

    stop: float
    weight: float


GUIDE_DEFAULTS: Final[Mapping[GuideKind, GuideDefaults]] = {
    GuideKind.IMAGE_PROMPT: GuideDefaults(0.5, 0.6),
    GuideKind.FACE_SWAP: GuideDefaults(0.9, 0.75),
    GuideKind.PYRA_CANNY: GuideDefaults(0.5, 1.0),
    GuideKind.CPDS: GuideDefaults(0.5, 1.0),
}

NONE: Final = "None"
"""The name of no model."""
DEFAULT_VAE: Final = "Default (model)"
DEFAULT_MODEL: Final = "juggernautXL_v8Rundiffusion.safetensors"
DEFAULT_LORA: Final = "sd_xl_offset_example-lora_1.0.safetensors"
DEFAULT_STYLES: Final = ("Fooocus V2", "Fooocus Enhance", "Fooocus Sharp")
DEFAULT_SAMPLER: Final = "dpmpp_2m_sde_gpu"
DEFAULT_SCHEDULE: Final = "karras"
DEFAULT_SWAP: Final = "joint"
DEFAULT_INPAINT_ENGINE: Final = "v2.6"
SWAP_METHODS: Final = ("joint", "separate", "vae")
INPAINT_ENGINES: Final = (NONE, "v1", "v2.5", "v2.6")
MOST_LORAS: Final = 5
MOST_GUIDES: Final = 4
