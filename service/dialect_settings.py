"""The settings of the dialects, under the names of the services whose clients they serve."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode

from protocol.erasing import EraseModel
from service.setting_values import Count, Seconds


class FooocusApiVersion(StrEnum):
    """Whose words clients of Fooocus-API are answered in, where its versions differ."""

    V0_5 = "0.5"
    V0_4 = "0.4"


class DialectSettings(BaseModel):
    """A part of `service.settings.Settings`."""

    # The dialect of IOPaint
    iopaint_model: str | None = Field(
        None, description="Model of the IOPaint dialect until one is chosen; else lama if it is there, else patchmatch."
    )
    iopaint_plugins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("InteractiveSeg", "RemoveBG", "RealESRGAN"), description="Plugins that IOPaint clients are offered."
    )
    iopaint_interactive_seg_model: str = Field(
        "mobile_sam",
        pattern="^(vit_[blh]|sam_hq_vit_[blh]|mobile_sam|sam2(_1)?_(tiny|small|base|large))$",
        description="Model of IOPaint's plugin InteractiveSeg until one is chosen.",
    )
    iopaint_quality: int = Field(100, ge=1, le=100, description="Of JPEG and WebP pictures for IOPaint clients.")
    iopaint_input: Path | None = Field(
        None, description="A picture IOPaint clients begin with, or a folder for their file manager."
    )
    iopaint_mask_dir: Path | None = Field(None, description="Masks in the file manager of IOPaint clients.")
    iopaint_output_dir: Path | None = Field(None, description="Where IOPaint clients save pictures.")
    iopaint_web_dir: Path | None = Field(None, description="The published front end of IOPaint (web_app), served at /.")

    # The dialect of the text-removal service
    text_removal_model: EraseModel | None = Field(
        None, description="Erase model for text-removal clients; by default lama if it is there, else patchmatch."
    )
    text_removal_timeout_s: Seconds = Field(300.0, description="Text-removal clients that wait get a 504 after this.")
    text_removal_max_side_px: Count | None = Field(
        None, description="Longest side of a picture from text-removal clients; none: what our own API takes."
    )

    # The dialects of Fooocus-API and FooocusAPI
    fooocus_api_version: FooocusApiVersion = Field(
        FooocusApiVersion.V0_5, description="Fooocus-API: base64 and failures as version 0.5 or 0.4 tells of them."
    )
    fooocus_api_persistent: bool = Field(
        False, description="Fooocus-API: the history with all parameters, in pages, as with its --persistent."
    )
    fooocus_base_url: str | None = Field(
        None, pattern=r"^https?://", description="Begins the URLs of pictures; by default as the client calls us."
    )
    fooocus_webhook_url: str | None = Field(
        None, pattern=r"^https?://", description="Told of the end of jobs whose request names no webhook_url."
    )
    fooocus_engine_double_webhook: bool = Field(
        False, description="FooocusAPI: the body of a webhook is JSON within JSON, as its receivers may expect."
    )

    # The dialect of the Stable Diffusion API
    sd_api_base_url: str | None = Field(
        None, pattern=r"^https?://", description="Begins the URLs of pictures; by default as the client calls us."
    )
