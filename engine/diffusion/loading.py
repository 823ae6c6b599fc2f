"""Loading a model, whole or not at all, in calls short enough to let other jobs' steps go between them."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import torch

from engine.diffusion import folders
from engine.diffusion.families import FAMILIES, ModelDefaults
from engine.diffusion.folders import read_index, scheduler_config
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.saved_defaults import with_saved
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain
from engine.interface import Call, Where
from engine.library.records import Family, FoundModel, ModelKind

T = TypeVar("T")
Told = Callable[[str, int, int], None]
"""Hears how far loading is: the component that comes next, how many are loaded, how many there are."""
Loading = Generator[Call, Any, LoadedModel]

STAGE: Final = "load"


def say_nothing(_part: str, _done: int, _total: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a model is loaded to.

    Attributes:
        dtype: of the denoiser and the text encoders; see `engine.diffusion.dtype`.
    """

    device: torch.device
    dtype: torch.dtype


def load_model(
    found: FoundModel,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    on_progress: Told = say_nothing,
) -> LoadedModel:
    """Load a model in one go; the same as `loading`, for those who have nobody to wait for them.

    Raises:
        ModelUnusable: see `loading`.
    """
    steps = loading(found, device, dtype, on_progress=on_progress)
    result: Any = None
    while True:
        try:
            call = steps.send(result)
        except StopIteration as stop:
            loaded: LoadedModel = stop.value
            return loaded
        try:
            result = call.run()
        except BaseException as error:
            steps.throw(error)
            raise


def loading(
    found: FoundModel,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    on_progress: Told = say_nothing,
) -> Loading:
    """Load a model in calls. Use with `yield from`, or hand each call to `await_call`.

    What the device must do is a call per component, the longest of them the denoiser's. When it ends early, by an
    error or by being closed, everything loaded so far is let go.

    Raises:
        ModelUnusable: the model is corrupt, incomplete, hostile, or of a family that cannot be loaded this way.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    if found.kind is not ModelKind.CHECKPOINT:
        raise ModelUnusable(found.name, f"it is of the kind {found.kind}, not a checkpoint")
    if found.family not in FAMILIES:
        raise ModelUnusable(found.name, "what it is cannot be told from its contents")
    quieten()
    target = Target(device=torch.device(device), dtype=dtype)
    # Said outside the except block: an error raised inside would hold on to the frames, and so to what was loaded.
    problem = None
    try:
        return (yield from _folder(found, target, on_progress))
    except READ_ERRORS as error:
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def _folder(found: FoundModel, target: Target, on_progress: Told) -> Loading:
    index = yield Call(lambda: read_index(found.path, found.family), where=Where.POOL, stage=STAGE)
    components: dict[str, Any] = dict.fromkeys(index.absent)
    for done, part in enumerate(index.parts):
        on_progress(part.name, done, len(index.parts))
        components[part.name] = yield Call(
            lambda part=part: folders.load_part(found.path, part, target.dtype, target.device),  # type: ignore[misc]
            stage=STAGE,
        )
    return LoadedModel(
        name=found.name,
        family=found.family,
        components=components,
        pipeline_class=index.pipeline_class,
        settings=index.settings,
        scheduler_config=scheduler_config(found.path, found.family),
        defaults=with_saved(_defaults(found.family, components, is_saved_scheduler=True), found.path),
        device=target.device,
        dtype=target.dtype,
    )


def _defaults(family: Family, components: dict[str, Any], *, is_saved_scheduler: bool) -> ModelDefaults:
    denoiser = _config_of(components.get("unet") or components.get("transformer"))
    vae = _config_of(components.get("vae"))
    channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or ()
    defaults = FAMILIES[family].defaults(
        vae_scale=2 ** (len(channels) - 1) if channels else 8,
        sample_size=denoiser.get("sample_size"),
        is_saved_scheduler=is_saved_scheduler,
    )
    if family is Family.FLUX and not denoiser.get("guidance_embeds"):
        # Distilled to a few steps, without guidance.
        return replace(defaults, steps=4, guidance_scale=0.0)
    return defaults


def _config_of(module: object) -> dict[str, Any]:
    return dict(getattr(module, "config", {}))
