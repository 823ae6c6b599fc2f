"""What may be asked of the task that says what is in a picture."""

from enum import StrEnum

from pydantic import Field, StrictInt

from protocol.params import ImageRef, Seed, TaskParams


class DescribeStyle(StrEnum):
    """In which words."""

    TAGS = "tags"
    """Of a classifier, of faces, writing and colours."""
    PHOTO = "photo"
    """And a sentence, as for a photograph."""
    ANIME = "anime"
    """And the tags that drawings are sorted by."""


class DescribeParams(TaskParams):
    """Tags for a picture: what a classifier sees, text, faces and main colours; and a caption, if asked for."""

    image: ImageRef
    style: DescribeStyle = Field(DescribeStyle.TAGS, description="photo and anime: with a caption, by a model for it.")
    max_tags: StrictInt = Field(10, ge=1, le=100)
    seed: Seed = Field(0, description="Draws the words of a photo's caption.")
