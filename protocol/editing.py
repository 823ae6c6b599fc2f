"""What may be asked of the tasks that work on a given picture without generating one, and of the test pattern."""

from enum import StrEnum

from pydantic import Field, StrictFloat, StrictInt

from protocol.describing import DescribeParams, DescribeStyle
from protocol.erasing import EraseModel, EraseParams, FillMethod, HdStrategy, LdmSampler
from protocol.finishing import FinishingParams
from protocol.params import ImageRef, PictureOutParams, Region, Seed
from protocol.segmenting import SegmentModel, SegmentParams

__all__ = [
    "BackgroundModel",
    "BackgroundResult",
    "Clothes",
    "DescribeParams",
    "DescribeStyle",
    "EraseModel",
    "EraseParams",
    "FillMethod",
    "HdStrategy",
    "LdmSampler",
    "RemoveBackgroundParams",
    "RemoveTextParams",
    "Resampling",
    "SegmentModel",
    "SegmentParams",
    "TestPatternParams",
    "TextResult",
    "UpscaleModel",
    "UpscaleParams",
]


class UpscaleModel(StrEnum):
    """Which Real-ESRGAN weights upscale; `auto` takes the compact ones on a CPU and x4plus on a GPU."""

    AUTO = "auto"
    COMPACT = "compact"
    GENERAL = "general"
    X4PLUS = "x4plus"
    X4PLUS_ANIME = "x4plus-anime"


class Resampling(StrEnum):
    """How the enlarged picture is brought to the size asked for."""

    AREA = "area"
    """Means of what a pixel covers."""
    LANCZOS = "lanczos"
    """Sharper, with jagged edges where much smaller."""


class BackgroundModel(StrEnum):
    """What finds the subject of a picture; `auto` takes the full U2-Net if it is there, else the small one."""

    AUTO = "auto"
    U2NET = "u2net"
    U2NETP = "u2netp"
    U2NET_HUMAN_SEG = "u2net_human_seg"
    U2NET_CLOTH_SEG = "u2net_cloth_seg"
    SILUETA = "silueta"
    ISNET_GENERAL_USE = "isnet-general-use"
    ISNET_ANIME = "isnet-anime"
    RMBG_1_4 = "rmbg-1.4"
    RMBG_2_0 = "rmbg-2.0"
    BIREFNET_GENERAL = "birefnet-general"
    BIREFNET_GENERAL_LITE = "birefnet-general-lite"
    BIREFNET_PORTRAIT = "birefnet-portrait"
    BIREFNET_DIS = "birefnet-dis"
    BIREFNET_HRSOD = "birefnet-hrsod"
    BIREFNET_COD = "birefnet-cod"
    BIREFNET_MASSIVE = "birefnet-massive"


class Clothes(StrEnum):
    """What of a person's clothes is the subject, for the model that knows them."""

    ALL = "all"
    UPPER = "upper"
    LOWER = "lower"
    WHOLE = "whole"
    """What covers both, as a dress does."""


class BackgroundResult(StrEnum):
    """What `remove_background` gives back: the subject on transparency, or the mask alone."""

    CUTOUT = "cutout"
    MASK = "mask"


class TextResult(StrEnum):
    """What `remove_text` gives back: the picture without its writing, or the mask of the writing alone."""

    PICTURE = "picture"
    MASK = "mask"


class RemoveTextParams(PictureOutParams):
    """Remove writing: in the given regions, or wherever it is found. Masks follow the strokes of the letters."""

    image: ImageRef
    regions: tuple[Region, ...] | None = Field(
        None, max_length=1000, description="Where the writing is; without it, text is searched for."
    )
    result: TextResult = Field(
        TextResult.PICTURE, description="mask: only find it; the output is the mask of what would be filled."
    )
    min_confidence: StrictFloat = Field(0.8, ge=0, le=1, description="Found text below this recognition score stays.")
    method: FillMethod = FillMethod.AUTO
    grow_px: StrictInt | None = Field(
        None, ge=0, le=256, description="Widen the strokes; by default 12 % of the text height."
    )
    feather_px: StrictInt = Field(1, ge=0, le=256)
    seed: Seed = 0


class UpscaleParams(FinishingParams, PictureOutParams):
    """Enlarge with Real-ESRGAN, tile by tile."""

    image: ImageRef
    factor: StrictFloat = Field(
        2.0, ge=0.05, le=8, description="Output size over input size; need not be whole. The size is rounded down."
    )
    model: UpscaleModel = UpscaleModel.AUTO
    resampling: Resampling = Field(Resampling.AREA, description="From four times the size to the size asked for.")
    tile_px: StrictInt | None = Field(
        None, ge=32, le=2048, description="Side of a tile in input pixels; chosen by the device if not given."
    )


class RemoveBackgroundParams(PictureOutParams):
    """Cut the subject out."""

    image: ImageRef
    model: BackgroundModel = BackgroundModel.AUTO
    result: BackgroundResult = BackgroundResult.CUTOUT
    clothes: Clothes = Field(Clothes.ALL, description="With `u2net_cloth_seg`: which clothes are the subject.")


class TestPatternParams(PictureOutParams):
    """Draw a deterministic pattern in steps: for trying a client, an installation or a load without any model."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    width: StrictInt = Field(256, ge=8, le=4096)
    height: StrictInt = Field(256, ge=8, le=4096)
    images: StrictInt = Field(1, ge=1, le=64)
    steps: StrictInt = Field(4, ge=0, le=1000, description="Steps per image; 0 finishes at once.")
    step_ms: StrictInt = Field(0, ge=0, le=10_000, description="How long a step holds the device.")
    seed: Seed = 0
    fail_at_step: StrictInt | None = Field(
        None, ge=1, le=1000, description="Raise in this step, to try error handling."
    )
