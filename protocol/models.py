"""A model as a client sees it, and what it may ask to have downloaded."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from protocol.params import Frozen
from protocol.requests import TaskName

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._()+-]*$"
"""Of a file, on every file system; no path."""
_SHA256: Final = r"^[0-9A-Fa-f]{64}$"


class ModelKind(StrEnum):
    """What a model file is for. A refiner is a checkpoint of the family `sdxl_refiner`."""

    CHECKPOINT = "checkpoint"
    LORA = "lora"
    VAE = "vae"
    CONTROLNET = "controlnet"
    BRUSHNET = "brushnet"
    """Shows a model what is kept of the picture it inpaints."""
    IP_ADAPTER = "ip_adapter"
    IMAGE_ENCODER = "image_encoder"
    """The vision model an IP-Adapter sees through."""
    UPSCALER = "upscaler"
    EMBEDDING = "embedding"
    PREVIEW_DECODER = "preview_decoder"
    """A tiny decoder that shows a picture while it is made; chosen by the engine, not by requests."""
    ERASER = "eraser"
    """An inpainting network without a prompt: LaMa, MAT and the like."""


class ModelSettings(BaseModel):
    """What a request gets that leaves a parameter out."""

    model_config = ConfigDict(frozen=True)

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)


class ModelDownloadState(BaseModel):
    """How far a download is."""

    model_config = ConfigDict(frozen=True)

    done_bytes: int = Field(ge=0)
    total_bytes: int | None = Field(None, ge=0, description="As soon as it is known.")
    problem: str | None = Field(None, description="Why it came to nothing; asked for again, it goes on.")


class ModelInfo(BaseModel):
    """One model the server knows, there or not."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="Unique among those of its kind; what `model` of a task means.")
    title: str
    file: str | None = Field(None, description="Path of its file in the folder it was found in; of a folder none.")
    tasks: tuple[TaskName, ...]
    licence: str = Field(description="Of the weights; `unknown` where the files do not tell.")
    size_bytes: int = Field(ge=0)
    is_present: bool = Field(
        description="False: it is being downloaded, or `safelight models pull NAME` on the server fetches it; one "
        "with the source `published` is fetched by the first job that needs it, if the server downloads."
    )
    id: str | None = Field(None, description="`KIND:NAME`, as events have it; of a packaged model its name.")
    kind: ModelKind | None = Field(None, description="None: packaged or published, for the tasks it names.")
    family: str | None = Field(None, description="Which denoiser it is, or works with: sd1, sdxl, ...")
    source: str | None = Field(None, description="Which of the server's folders it was found in.")
    is_loaded: bool = Field(False, description="It is in memory.")
    is_default: bool = Field(False, description="A request that names no model gets this one.")
    problem: str | None = Field(None, description="Why it cannot be used, if something speaks against it.")
    defaults: ModelSettings | None = None
    sha256: str | None = Field(None, description="If it is known; its first ten digits are the hash A1111 shows.")
    download: ModelDownloadState | None = Field(None, description="While it is being downloaded, or that failed.")


class Arrived(StrEnum):
    """What becomes of what has arrived of a download that is cancelled."""

    KEEP = "keep"
    """It stays; asked for again, the download goes on there."""
    DISCARD = "discard"


class ModelList(BaseModel):
    """All models of a server."""

    model_config = ConfigDict(frozen=True)

    models: tuple[ModelInfo, ...]


class ModelDownload(Frozen):
    """A model file to be downloaded into the server's models folder."""

    url: HttpUrl
    kind: ModelKind = Field(description="What it is; a file that turns out to be something else is not kept.")
    name: str | None = Field(
        None, min_length=1, max_length=200, pattern=_NAME, description="Of the file; by default the URL's last part."
    )
    sha256: str | None = Field(
        None, pattern=_SHA256, description="Checked. PyTorch's own format (.ckpt, .pt, .pth, .bin) needs it."
    )
