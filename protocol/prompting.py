"""How a prompt is read, and what is put around it: what the generating tasks take beside the prompt itself."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from protocol.params import TaskParams

MAX_STYLES: Final = 32

EXPANSION_STYLE: Final = "Fooocus V2"
"""The style that adds words of quality instead of a template."""
RANDOM_STYLE: Final = "Random Style"
"""The style that stands for another one, drawn for each image."""


class PromptSyntax(StrEnum):
    """What the signs in a prompt mean."""

    A1111 = "a1111"
    """As in AUTOMATIC1111's web UI: one text, weights in round and square brackets, BREAK."""
    FOOOCUS = "fooocus"
    """As in Fooocus: each line is a text of its own, weights in round brackets, wildcards, arrays."""


StyleName = Annotated[str, Field(min_length=1, max_length=200)]


class PromptingParams(TaskParams):
    """How the prompts of a generating task become the texts that its model reads."""

    prompt_syntax: PromptSyntax = Field(
        PromptSyntax.A1111, description="fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count."
    )
    styles: tuple[StyleName, ...] = Field(
        (),
        max_length=MAX_STYLES,
        description="As `/v1/styles` lists them: words put around the prompts, in this order.",
    )
    wildcards_in_order: StrictBool = Field(
        False, description="Image i takes line i of a wildcard, instead of one drawn by its seed."
    )


class StyleInfo(BaseModel):
    """One style a server knows."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="What `styles` of a task means.")
    source: str = Field(description="built_in, packaged, or files: of the server's folders.")
    prompt: str | None = Field(None, description="Its template; `{prompt}` in it stands for the prompt.")
    negative_prompt: str | None = Field(None, description="What it adds to the negative prompt.")


class StyleList(BaseModel):
    """All styles of a server."""

    model_config = ConfigDict(frozen=True)

    styles: tuple[StyleInfo, ...]
