"""What clients of FooocusAPI may send: one flat object with every parameter of Fooocus' page."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from service.dialects.fooocus.choices import NONE, Extension, GuideKind, Side, UovMethod
from service.dialects.fooocus.fields import AdvancedFields, CommonFields, Share
from service.dialects.fooocus.regions import EnhanceRegion
from service.dialects.reading import Foreign

NO_PRESET = "initial"
PictureText = str | None
"""Base64, a data URL or an address; see `service.dialects.fooocus.pictures`."""
_Scaler = Annotated[FiniteFloat, Field(ge=0, le=3)]
_DOCUMENTED: Final = {"disable": "Disabled", "a111": "a1111", "foocus": "fooocus"}
"""As the documents spell them -> as the program does."""


def _as_the_program_spells_it(value: object) -> object:
    return _DOCUMENTED.get(value, value) if isinstance(value, str) else value


def _step_or_share(value: float) -> float:
    if value == int(value):
        return int(value)
    if 0 < value < 1:
        return value
    raise PydanticCustomError("int_from_float", "Input should be a valid integer, got a number with a fractional part")


def _text_if_any(value: object) -> object:
    return "" if value is None or value == NONE else value


_Method = Annotated[UovMethod, BeforeValidator(_as_the_program_spells_it)]
_StepOrShare = Annotated[FiniteFloat, AfterValidator(_step_or_share)]


class MetadataScheme(StrEnum):
    """The form in which pictures say what they were made with."""

    FOOOCUS = "fooocus"
    A1111 = "a1111"


class ControlNetImage(Foreign):
    """A picture given beside the prompt. 0 is 0 here: without effect."""

    cn_img: PictureText = None
    cn_stop: Share | None = 0.6
    cn_weight: Annotated[FiniteFloat, Field(ge=0, le=2)] | None = 0.6
    cn_type: GuideKind = GuideKind.IMAGE_PROMPT


class EngineRequest(CommonFields, AdvancedFields):
    """`POST /v1/engine/generate/`."""

    output_format: Extension = Extension.PNG
    save_metadata_to_images: bool = True
    metadata_scheme: Annotated[MetadataScheme, BeforeValidator(_as_the_program_spells_it)] = MetadataScheme.FOOOCUS
    save_name: str | None = None
    input_image_checkbox: bool = False
    current_tab: str = "uov"
    uov_method: _Method = UovMethod.DISABLED
    uov_input_image: PictureText = "None"
    upscale_multiple: FiniteFloat = Field(1.0, ge=1, le=5)
    outpaint_selections: Annotated[tuple[Side, ...], Field(max_length=100)] = ()
    outpaint_distance: Annotated[tuple[int, ...], Field(max_length=100)] = (0, 0, 0, 0)
    """Left, top, right, bottom, in pixels."""
    inpaint_input_image: PictureText = "None"
    inpaint_additional_prompt: Annotated[str, BeforeValidator(_text_if_any)] = ""
    inpaint_mask_image_upload: PictureText = "None"
    controlnet_image: Annotated[tuple[ControlNetImage, ...], Field(max_length=100)] = (ControlNetImage(),)
    adm_scaler_positive: _Scaler = 1.5
    adm_scaler_negative: _Scaler = 0.8
    overwrite_step: int = -1
    overwrite_switch: _StepOrShare = -1
    """The number of a step, as the program reads it; below 1 a share of the steps, as the documents have it."""
    inpaint_respective_field: Share = 0.618
    inpaint_advanced_masking_checkbox: bool = False
    save_final_enhanced_image_only: bool = False
    enhance_input_image: PictureText = "None"
    enhance_checkbox: bool = False
    enhance_uov_method: _Method = UovMethod.DISABLED
    enhance_uov_processing_order: str = "Before First Enhancement"
    enhance_uov_prompt_type: str = "Original Prompts"
    enhance_ctrls: Annotated[tuple[EnhanceRegion, ...], Field(max_length=100)] = ()
    generate_image_grid: bool = False
    preset: str = NO_PRESET
    stream_output: bool = False


class Query(StrEnum):
    """Which tasks are asked for."""

    ALL = "all"
    HISTORY = "history"
    CURRENT = "current"
    PENDING = "pending"


class QueryTasks(Foreign):
    """`GET /tasks`. Times without a zone are those of the clock on the server's wall."""

    query: Query = Query.ALL
    page: int = 0
    page_size: int = 10
    start_at: datetime | None = None
    end_at: datetime | None = None
    action: str | None = None


class ControlQuery(Foreign):
    """`POST /v1/engine/control`."""

    action: str
    task_id: str | None = None
    """Of the task that is meant; new. Else the one that has been running longest."""
