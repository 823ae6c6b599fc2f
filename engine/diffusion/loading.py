"""Loading a model, whole or not at all, in calls short enough to let other jobs' steps go between them."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from engine.diffusion import folders
from engine.diffusion.families import FAMILIES, ModelDefaults, config_folder
from engine.diffusion.folders import read_index, scheduler_config
from engine.diffusion.known_defaults import defaults_from
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.saved_defaults import with_saved
from engine.diffusion.single_files import SingleFile
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
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
    """Where a model is loaded to."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a single file does not hold."""

    models_dir: Path | None
    config_dir: Path | None


def load_model(
    found: FoundModel,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    models_dir: Path | None = None,
    config_dir: Path | None = None,
    on_progress: Told = say_nothing,
) -> LoadedModel:
    """Load a model in one go; the same as `loading`, for those who have nobody to wait for them.

    Raises:
        ModelUnusable: see `loading`.
    """
    return run_through(
        loading(found, device, dtype, models_dir=models_dir, config_dir=config_dir, on_progress=on_progress)
    )


def run_through(steps: Generator[Call, Any, T]) -> T:
    """Run every call of something that is loaded in calls, one after another on this thread, and return what it made.

    Raises:
        Exception: what it raised.
    """
    result: Any = None
    failed: Exception | None = None
    while True:
        try:
            call = steps.send(result) if failed is None else steps.throw(failed)
        except StopIteration as stop:
            made: T = stop.value
            return made
        result, failed = None, None
        try:
            result = call.run()
        except Exception as error:  # noqa: BLE001 - `loading` decides what it means, as for any other caller
            failed = error
        del call  # it may hold tensors, and an error that is raised now holds this frame


def loading(
    found: FoundModel,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    models_dir: Path | None = None,
    config_dir: Path | None = None,
    on_progress: Told = say_nothing,
) -> Loading:
    """Load a model in calls. Use with `yield from`, or hand each call to `await_call`.

    What the device must do is a call per component, the longest of them the denoiser's. Of a single file it only has
    to put the tensors in place, which are read on the side pool; a folder is read by the libraries, which change
    state that all threads share, and so on the executor thread. When it ends early, by an error or by being closed,
    everything loaded so far is let go.

    Args:
        device, dtype: of the denoiser and the text encoders; see `engine.diffusion.dtype`.
        models_dir: where the tokenizer for single files lies; None if there are no such models.
        config_dir: configurations to read a single file with, instead of ours for its family; a diffusers folder
            without weights.
        on_progress: hears which component comes next.

    Raises:
        ModelUnusable: the model is corrupt, incomplete, hostile, or of a family that cannot be loaded this way.
        EngineError: `model_missing`; the tokenizer's file is not in the models folder.
    """
    if found.problem is not None:
        raise ModelUnusable(found.name, found.problem)
    if found.kind is not ModelKind.CHECKPOINT:
        raise ModelUnusable(found.name, f"it is of the kind {found.kind}, not a checkpoint")
    if found.family not in FAMILIES:
        raise ModelUnusable(found.name, "what it is cannot be told from its contents")
    quieten()
    target = Target(device=torch.device(device), dtype=dtype)
    sources = Sources(models_dir=models_dir, config_dir=config_dir)
    try:
        if found.is_folder:
            return (yield from _folder(found, target, on_progress))
        return (yield from _single_file(found, target, sources, on_progress))
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def _folder(found: FoundModel, target: Target, on_progress: Told) -> Loading:
    index = yield Call(lambda: read_index(found.path, found.family), where=Where.POOL, stage=STAGE)
    components: dict[str, Any] = dict.fromkeys(index.absent)
    for done, part in enumerate(index.parts):
        on_progress(part.name, done, len(index.parts))
        load = partial(folders.load_part, found.path, part, target.dtype, target.device)
        components[part.name] = yield Call(load, stage=STAGE)
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


def _single_file(found: FoundModel, target: Target, sources: Sources, on_progress: Told) -> Loading:
    config_dir = sources.config_dir or config_folder(found.family, found.prediction)
    if config_dir is None:
        raise ValueError(f"a single file of the family {found.family} lacks too much; have it as a diffusers folder")
    index = read_index(config_dir, found.family)
    file = SingleFile(
        path=found.path,
        family=found.family,
        prediction=found.prediction,
        config_dir=config_dir,
        models_dir=sources.models_dir,
        index=index,
    )
    # Asked first: it is cheap, and says whether the file can be read at all.
    scheduler = yield Call(
        lambda: file.scheduler_config(scheduler_config(config_dir, found.family)), where=Where.POOL, stage=STAGE
    )
    components: dict[str, Any] = dict.fromkeys(index.absent)
    for done, part in enumerate(index.parts):
        on_progress(part.name, done, len(index.parts))
        if part.name == "scheduler":
            components[part.name] = folders.class_of(part).from_config(scheduler)
        elif part.name.startswith("tokenizer"):
            components[part.name] = yield Call(partial(file.without_weights, part), stage=STAGE)
        else:
            tensors = yield Call(partial(file.read, part, target.dtype), where=Where.POOL, stage=STAGE)
            components[part.name] = yield Call(partial(file.build, part, tensors, target.device), stage=STAGE)
            del tensors
    return LoadedModel(
        name=found.name,
        family=found.family,
        components=components,
        pipeline_class=index.pipeline_class,
        settings=index.settings,
        scheduler_config=scheduler,
        defaults=_defaults(found.family, components, is_saved_scheduler=False),
        device=target.device,
        dtype=target.dtype,
    )


def _defaults(family: Family, components: dict[str, Any], *, is_saved_scheduler: bool) -> ModelDefaults:
    denoiser = _config_of(components.get("unet") or components.get("transformer"))
    return defaults_from(family, denoiser, _config_of(components.get("vae")), is_saved_scheduler=is_saved_scheduler)


def _config_of(module: object) -> dict[str, Any]:
    return dict(getattr(module, "config", {}))
