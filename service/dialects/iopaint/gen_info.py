"""Prompts that a picture carries, as the Stable Diffusion web interfaces or Fooocus write them."""

from typing import Final, NamedTuple

from protocol.errors import ErrorCode
from protocol.recipes.fooocus import read_fooocus
from service.dialects.refusal import Refused
from service.recipes import recipe_text

_NEGATIVE: Final = "Negative prompt: "


class GenInfo(NamedTuple):
    """The prompts of a picture; empty where it carries none."""

    prompt: str
    negative_prompt: str


def gen_info(content: bytes) -> GenInfo:
    """Read the prompts of a picture file: PNG, and JPEG and WebP too, which the original does not read. Blocks.

    No pixel is decoded.

    Raises:
        Refused: 400: it is no picture.
    """
    text = recipe_text(content)
    if text is None:
        raise Refused(400, f"{ErrorCode.BAD_IMAGE}: the file is not a picture")
    recipe = read_fooocus(text)
    return split(text) if recipe is None else GenInfo(recipe.prompt or "", recipe.negative_prompt or "")


def split(text: str) -> GenInfo:
    """Part the text. Without a negative prompt all of it is the prompt, its line of settings too."""
    prompt, marker, rest = text.partition(_NEGATIVE)
    if not marker:
        return GenInfo(text.strip(), "")
    return GenInfo(prompt.strip(), rest.partition("\n")[0].strip())
