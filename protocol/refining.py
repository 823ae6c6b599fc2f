"""How a second model takes a picture over."""

from enum import StrEnum

from pydantic import Field, StrictFloat

from protocol.params import ModelName, TaskParams


class RefinerSwap(StrEnum):
    """What is handed from the first model to the refiner."""

    JOINT = "joint"
    """The latents, within one run: the sampler goes on with what it remembers."""
    SEPARATE = "separate"
    """The latents with the noise still in them, to a run of its own."""
    VAE = "vae"
    """The picture as it would be if the first model ended there: decoded, and encoded by the refiner's own VAE."""


class RefinerStart(StrEnum):
    """What `refiner_start` is a share of."""

    NOISE = "noise"
    """The timesteps the models were trained on."""
    STEPS = "steps"
    """The steps that are made."""


class RefiningParams(TaskParams):
    """What all generating tasks take of it."""

    refiner: ModelName | None = Field(None, description="A model that takes over for the last steps of an SDXL model.")
    refiner_start: StrictFloat = Field(
        0.8, ge=0.01, le=0.99, description="Share of the noise schedule after which the refiner takes over."
    )
    refiner_start_by: RefinerStart = Field(RefinerStart.NOISE, description="What `refiner_start` is a share of.")
    refiner_swap: RefinerSwap | None = Field(
        None, description="How the refiner takes over; by default `separate`, or `vae` for other latents."
    )
