"""What a job adds to its model: parts that stand in for the model's own, and what is laid over them."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import cast

from engine.diffusion.chosen_vae import ReadyVae, choose_vae
from engine.diffusion.studio import ReadyModel, Studio
from engine.interface import Call, Where
from engine.library.records import FoundModel, ModelKind
from engine.steps import await_call, await_steps
from protocol.generation import GenerationParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """All of it, in memory.

    Attributes:
        vae: in the place of the model's own.
    """

    vae: ReadyVae | None = None


def bring_additions(studio: Studio, params: GenerationParams, model: ReadyModel, held: ExitStack) -> Additions:
    """Have everything in memory that `params` adds to `model`. From inside a job's greenlet.

    Args:
        held: what is brought stays in memory until it is closed.

    Raises:
        EngineError: `model_missing`, `bad_model`; `invalid_params`: it does not go with the model.
    """
    vae = None
    if params.vae is not None:
        found = _found(studio, params.vae, ModelKind.VAE)
        vae = await_steps(choose_vae(studio, found, model))
        held.enter_context(studio.in_use(vae.name))
    return Additions(vae=vae)


def _found(studio: Studio, name: str, kind: ModelKind) -> FoundModel:
    # Beside the device: it may have to look through folders.
    return cast("FoundModel", await_call(Call(partial(studio.find, name, kind), Where.POOL, "read")))
