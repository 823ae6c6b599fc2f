"""What the library knows of a model file: the words for it, and the record of one."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from protocol.models import ModelKind as ModelKind

Shape: TypeAlias = tuple[int, ...]
"""Of a tensor; () is a scalar, or a shape that the file does not tell."""


class Family(StrEnum):
    """Which denoiser a model is, or works with."""

    SD1 = "sd1"
    SD1_INPAINT = "sd1_inpaint"
    INSTRUCT_PIX2PIX = "instruct_pix2pix"
    """SD 1 with a picture to change among its inputs."""
    PAINT_BY_EXAMPLE = "paint_by_example"
    """SD 1 for inpainting, told what to paint by a picture instead of a text."""
    POWERPAINT = "powerpaint"
    """PowerPaint's first version: SD 1 for inpainting with learned words for what is to be done."""
    SD2 = "sd2"
    """Predicts noise or velocity, which the weights do not show. `FoundModel.prediction` says which, if it is known."""
    SD2_INPAINT = "sd2_inpaint"
    SDXL = "sdxl"
    SDXL_INPAINT = "sdxl_inpaint"
    SDXL_REFINER = "sdxl_refiner"
    SD3 = "sd3"
    FLUX = "flux"
    OTHER = "other"
    """None of the above: a pipeline only its diffusers folder describes, or a model that needs no denoiser."""
    UNKNOWN = "unknown"
    """Not to be told from the file."""


STABLE_1: Final = (
    *(Family.SD1, Family.SD1_INPAINT),
    *(Family.INSTRUCT_PIX2PIX, Family.PAINT_BY_EXAMPLE, Family.POWERPAINT),
)
"""SD 1 and what was made of it: their latents are the same, and their UNets alike."""


class Prediction(StrEnum):
    """What a denoiser predicts, in the words of a diffusers scheduler's configuration."""

    EPSILON = "epsilon"
    V = "v_prediction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """What the contents of a file, or the configurations of a folder, say it is.

    Attributes:
        kind: None where they do not tell.
        problem: why it cannot be used, in words for a person; None if nothing speaks against it.
        prediction: what the file says of itself, if it does.
    """

    kind: ModelKind | None
    family: Family = Family.UNKNOWN
    problem: str | None = None
    prediction: Prediction | None = None


UNTOLD: Final = Sniffed(kind=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """One model on disk. Finding it says nothing of whether it loads.

    Attributes:
        name: unique within its kind; see `names`.
        path: the file, or the diffusers folder.
        size_bytes: of the file; of a folder, all its weights.
        source: the root it was found in.
        problem: why it cannot be used, in words for a person, without its path; None if nothing speaks against it.
        is_pickle: whether its weights are in PyTorch's own format, which only `weights_only` may read.
        modified_at: seconds since the epoch; of a folder, its newest file.
        relative: its path within the folder it was found in, with slashes and without extension; of a repository in
            the Hugging Face cache, `ORG/NAME`.
        prediction: what the file says of itself, if it does.
    """

    name: str
    kind: ModelKind
    family: Family
    path: Path
    is_folder: bool
    size_bytes: int
    source: str
    problem: str | None
    is_pickle: bool
    modified_at: float
    relative: str
    prediction: Prediction | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the disk brought. A file whose contents were replaced, or whose name changed, is in both."""

    added: tuple[FoundModel, ...]
    removed: tuple[FoundModel, ...]
