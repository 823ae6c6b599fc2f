"""Prompts that a picture carries: the PNG text `parameters`, as the Stable Diffusion web interfaces write it."""

import io
from typing import Final, NamedTuple

from protocol.errors import ErrorCode
from service.dialects.iopaint.errors import Refused
from service.dialects.iopaint.pictures import header

_TEXT: Final = "parameters"
_NEGATIVE: Final = "Negative prompt: "


class GenInfo(NamedTuple):
    """The prompts of a picture; empty where it carries none."""

    prompt: str
    negative_prompt: str


def gen_info(content: bytes) -> GenInfo:
    """Read the prompts of a picture file. Blocks. No pixel is decoded.

    Raises:
        Refused: 400: it is no picture.
    """
    image = header(io.BytesIO(content))
    if image is None:
        raise Refused(400, f"{ErrorCode.BAD_IMAGE}: the file is not a picture")
    with image:
        text = image.info.get(_TEXT)
    return split(text) if isinstance(text, str) else GenInfo("", "")


def split(text: str) -> GenInfo:
    """Part the text. Without a negative prompt all of it is the prompt, its line of settings too."""
    prompt, marker, rest = text.partition(_NEGATIVE)
    if not marker:
        return GenInfo(text.strip(), "")
    return GenInfo(prompt.strip(), rest.partition("\n")[0].strip())
