"""What may be asked of a picture that is made or enlarged, before it is kept."""

from enum import StrEnum

from pydantic import Field, StrictBool

from protocol.params import TaskParams


class MetadataScheme(StrEnum):
    """In which words a file says what its picture was made with."""

    NONE = "none"
    """It does not."""
    A1111 = "a1111"
    """A text for people, as the Stable Diffusion web interfaces write it."""
    FOOOCUS = "fooocus"
    """A JSON document, as Fooocus writes it."""


class FinishingParams(TaskParams):
    """What all generating tasks take of it, and `upscale`."""

    metadata: MetadataScheme = Field(
        MetadataScheme.NONE, description="Write into the file what the picture was made with; PNG, JPEG and WebP."
    )
    safety_check: StrictBool = Field(
        False, description="Have pictures looked at that might not be safe for work: those that are not become black."
    )
