"""What clients of Fooocus-API may send, route by route: JSON in its version 2, mostly forms in its version 1."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, FiniteFloat

from service.dialects.fooocus.choices import Extension, GuideKind, Side, UovMethod
from service.dialects.fooocus.fields import AdvancedFields, CommonFields, ImagePrompt, Share
from service.dialects.reading import Foreign

Factor = Annotated[FiniteFloat, Field(ge=1, le=5)]
Sides = Annotated[tuple[Side, ...], Field(max_length=100)]
ImagePrompts = Annotated[tuple[ImagePrompt, ...], Field(max_length=100)]


class ApiFields(CommonFields):
    """What every generating route takes."""

    advanced_params: AdvancedFields | None = None
    save_meta: bool = True
    meta_scheme: str = "fooocus"
    save_extension: Extension = Extension.PNG
    save_name: str = ""


class TextToImageRequest(ApiFields):
    """`POST /v1/generation/text-to-image`."""


class TextToImageWithIpRequest(ApiFields):
    """`POST /v2/generation/text-to-image-with-ip`."""

    image_prompts: ImagePrompts = ()


class UpscaleVaryRequest(ApiFields):
    """`POST /v2/generation/image-upscale-vary`."""

    input_image: str
    uov_method: UovMethod = UovMethod.UPSCALE_2
    upscale_value: Factor | None = 1.0
    image_prompts: ImagePrompts = ()


class Extending(Foreign):
    """Which sides of a picture are continued, and how far."""

    outpaint_selections: Sides = ()
    outpaint_distance_left: int | None = -1
    outpaint_distance_right: int | None = -1
    outpaint_distance_top: int | None = -1
    outpaint_distance_bottom: int | None = -1

    def sides(self) -> Mapping[Side, int]:
        """Side -> pixels; 0 and less stand for 30 %."""
        distances = {
            Side.LEFT: self.outpaint_distance_left,
            Side.RIGHT: self.outpaint_distance_right,
            Side.TOP: self.outpaint_distance_top,
            Side.BOTTOM: self.outpaint_distance_bottom,
        }
        return {side: distances[side] or 0 for side in self.outpaint_selections}


class InpaintRequest(Extending, ApiFields):
    """`POST /v2/generation/image-inpaint-outpaint`."""

    input_image: str = ""
    input_mask: str | None = ""
    inpaint_additional_prompt: str | None = ""
    image_prompts: ImagePrompts = ()


class ImagePromptRequest(Extending, ApiFields):
    """`POST /v2/generation/image-prompt`."""

    input_image: str | None = None
    input_mask: str | None = ""
    inpaint_additional_prompt: str | None = ""
    image_prompts: ImagePrompts


class FormFields(ApiFields):
    """What every form takes."""

    save_meta: bool = False


class UpscaleVaryForm(FormFields):
    """`POST /v1/generation/image-upscale-vary`, but for its file."""

    uov_method: UovMethod
    upscale_value: Factor | None = None


class InpaintForm(Extending, FormFields):
    """`POST /v1/generation/image-inpaint-outpaint`, but for its files."""

    inpaint_additional_prompt: str | None = ""
    outpaint_distance_left: int | None = 0
    outpaint_distance_right: int | None = 0
    outpaint_distance_top: int | None = 0
    outpaint_distance_bottom: int | None = 0


Stop = Share | None
Weight = Annotated[FiniteFloat, Field(ge=0, le=2)] | None


class ImagePromptForm(InpaintForm):
    """`POST /v1/generation/image-prompt`, but for its files."""

    cn_stop1: Stop = None
    cn_stop2: Stop = None
    cn_stop3: Stop = None
    cn_stop4: Stop = None
    cn_weight1: Weight = None
    cn_weight2: Weight = None
    cn_weight3: Weight = None
    cn_weight4: Weight = None
    cn_type1: GuideKind = GuideKind.IMAGE_PROMPT
    cn_type2: GuideKind = GuideKind.IMAGE_PROMPT
    cn_type3: GuideKind = GuideKind.IMAGE_PROMPT
    cn_type4: GuideKind = GuideKind.IMAGE_PROMPT

    def guide(self, number: int) -> ImagePrompt:
        """What goes with the picture of that number, 1..4."""
        return ImagePrompt(
            cn_stop=getattr(self, f"cn_stop{number}"),
            cn_weight=getattr(self, f"cn_weight{number}"),
            cn_type=getattr(self, f"cn_type{number}"),
        )


class QueryJob(Foreign):
    """`GET /v1/generation/query-job`."""

    job_id: str
    require_step_preview: bool = False
    require_step_preivew: bool = False
    """As it was spelt until version 0.3.29."""

    @property
    def wants_preview(self) -> bool:
        return self.require_step_preview or self.require_step_preivew


class QueryHistory(Foreign):
    """`GET /v1/generation/job-history`."""

    job_id: str | None = None
    page: int = 0
    page_size: int = 20
    delete: bool = False
