"""What the parameters of several tasks are made of: pictures, regions, points, seeds, output formats."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

MAX_SIDE_PX: Final = 16_384
"""No picture wider or higher than this is accepted or made; the server's own pixel cap may be lower."""


class OutputFormat(StrEnum):
    """The file format of an output picture."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    SOURCE = "source"
    """That of the picture that was given: PNG, JPEG, WebP, BMP, GIF, TIFF or PPM."""


ImageRef = Annotated[
    str,
    Field(
        min_length=1,
        description="A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`.",
    ),
]
ModelName = Annotated[str, Field(min_length=1, max_length=300, description="As `/v1/models` lists it.")]
Seed = Annotated[StrictInt, Field(ge=0, le=2**32 - 1)]
LARGEST_SEED: Final = 2**63 - 1
"""Of those that begin the noise of a picture. Clients that read numbers as doubles know them up to 2^53 only."""
LongSeed = Annotated[StrictInt, Field(ge=0, le=LARGEST_SEED)]


class Frozen(BaseModel):
    """A type on the wire: frozen, and strict about names."""

    # Strict about names and about numbers: "20" is not 20.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Region(Frozen):
    """A rectangle in the pixels of the upright picture, origin top left; parts outside the picture are cut off."""

    x: StrictInt = Field(ge=-MAX_SIDE_PX, le=MAX_SIDE_PX)
    y: StrictInt = Field(ge=-MAX_SIDE_PX, le=MAX_SIDE_PX)
    width: StrictInt = Field(ge=1, le=MAX_SIDE_PX)
    height: StrictInt = Field(ge=1, le=MAX_SIDE_PX)


class Point(Frozen):
    """A click in the pixels of the upright picture, origin top left."""

    x: StrictFloat = Field(ge=0, le=MAX_SIDE_PX)
    y: StrictFloat = Field(ge=0, le=MAX_SIDE_PX)
    include: StrictBool = Field(True, description="True: this belongs to the object. False: this does not.")


class TaskParams(Frozen):
    """The parameters of some task; see `TASKS` for which type belongs to which."""


class PictureOutParams(TaskParams):
    """The parameters of some task that makes pictures."""

    format: OutputFormat = Field(
        OutputFormat.PNG,
        description="source: the format of the given picture; jpeg where that is not written, png if none was given.",
    )
    quality: StrictInt = Field(90, ge=1, le=100, description="For JPEG and WebP.")
    keep_metadata: StrictBool = Field(
        False,
        description="Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too.",
    )
