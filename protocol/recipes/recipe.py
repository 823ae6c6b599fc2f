"""What a picture was made with: everything a file can say of it, and each part only as far as it is known."""

from enum import StrEnum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from protocol.recipes.literals import numbers


class RecipeScheme(StrEnum):
    """In which words a file says it."""

    A1111 = "a1111"
    FOOOCUS = "fooocus"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class UsedLora(_Told):
    """A LoRA, how much it counted, and the first ten hexadecimal digits of the SHA-256 of its file."""

    name: str
    weight: float = 1.0
    hash: str | None = None


class UsedSizeConditioning(_Told):
    """As `size_conditioning` of a request."""

    positive: float
    negative: float
    end: float

    @classmethod
    def read(cls, told: object) -> Self | None:
        """What three numbers in a file say; None if they say nothing, or that it was not used."""
        found = numbers(told, 3)
        if found is None:
            return None
        sizes = cls(positive=found[0], negative=found[1], end=found[2])
        return None if sizes == PLAIN_SIZES else sizes


PLAIN_SIZES: Final = UsedSizeConditioning(positive=1, negative=1, end=0)
"""The same as none."""


class UsedFreeU(_Told):
    """As `freeu` of a request."""

    b1: float
    b2: float
    s1: float
    s2: float

    @classmethod
    def read(cls, told: object) -> Self | None:
        """What four numbers in a file say."""
        found = numbers(told, 4)
        return None if found is None else cls(b1=found[0], b2=found[1], s1=found[2], s2=found[3])


class Recipe(_Told):
    """See the module. Models are named by the stems of their files; hashes are as those of LoRAs."""

    prompt: str | None = Field(None, description="As it was asked for.")
    negative_prompt: str | None = None
    full_prompt: tuple[str, ...] = Field((), description="The texts it had become.")
    full_negative_prompt: tuple[str, ...] = ()
    prompt_expansion: str | None = None
    styles: tuple[str, ...] = ()
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = Field(None, description="As `scheduler` of a request, if it is a sampler known here.")
    noise_schedule: str | None = Field(None, description="As `noise_schedule` of a request, if it is known here.")
    performance: str | None = Field(None, description="As `performance` of a request, if it is a mode known here.")
    sharpness: float | None = None
    adaptive_guidance: float | None = None
    size_conditioning: UsedSizeConditioning | None = None
    freeu: UsedFreeU | None = None
    clip_layer: int | None = Field(None, description="Which layer of the text encoder was read; 1 is the last.")
    model: str | None = None
    model_hash: str | None = None
    vae: str | None = None
    loras: tuple[UsedLora, ...] = ()
    refiner: str | None = None
    refiner_hash: str | None = None
    refiner_start: float | None = None
    refiner_swap: str | None = None
    upscaler: str | None = Field(None, description="What enlarged it, if a network did and nothing was made anew.")
    upscale_factor: float | None = None
    made_by: str | None = Field(None, description="Which program in which version.")


class PictureRecipe(_Told):
    """What was found in a picture's file."""

    scheme: RecipeScheme | None = Field(None, description="None: it says nothing that could be read.")
    text: str | None = Field(None, description="As it lies in the file.")
    recipe: Recipe | None = None
