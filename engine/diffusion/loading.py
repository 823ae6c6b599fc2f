"""Loading a model, whole or not at all, in calls short enough to let other jobs' steps go between them."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch

from engine.diffusion import folders
from engine.diffusion.families import FAMILIES, ModelDefaults, config_folder
from engine.diffusion.folder_modules import part_loading
from engine.diffusion.folders import read_index, scheduler_config
from engine.diffusion.known_defaults import defaults_from
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.quiet import quieten
from engine.diffusion.saved_defaults import with_saved
from engine.diffusion.single_files import SingleFile
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.interface import Call, Where
from engine.library.records import Family, FoundModel, ModelKind

Loading: TypeAlias = Generator[Call, Any, LoadedModel]

STAGE: Final = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a model is loaded to.

    Attributes:
        device: where it will calculate.
        home: where its weights are put.
    """

    device: torch.device
    home: torch.device
    dtype: torch.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a single file does not hold."""

    models_dir: Path | None
    config_dir: Path | None


def loading(
    found: FoundModel,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    home: torch.device | None = None,
    models_dir: Path | None = None,
    config_dir: Path | None = None,
) -> Loading:
    """Load a model in calls. Use with `yield from`; `engine.steps.run_through` makes them all at once.

    What the device must do is a call per component, the longest of them the denoiser's: it only has to put the tensors
    in place, which are read on the side pool. Text encoders of a folder, and what its files do not hold as it is, are
    read by the libraries, which change state that all threads share, and so on the executor thread. When it ends early,
    by an error or by being closed, everything loaded so far is let go.

    Args:
        device, dtype: of the denoiser and the text encoders; see `engine.diffusion.dtype`.
        home: where its weights are put, if that is not the device; see `engine.diffusion.offload`.
        models_dir: where the tokenizer for single files lies; None if there are no such models.
        config_dir: configurations to read a single file with, instead of ours for its family; a diffusers folder
            without weights.

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
    target = Target(device=torch.device(device), home=home or torch.device(device), dtype=dtype)
    sources = Sources(models_dir=models_dir, config_dir=config_dir)
    try:
        if found.is_folder:
            return (yield from _folder(found, target))
        return (yield from _single_file(found, target, sources))
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, found.path)
    raise ModelUnusable(found.name, problem)


def _folder(found: FoundModel, target: Target) -> Loading:
    index = yield Call(lambda: read_index(found.path, found.family), where=Where.POOL, stage=STAGE)
    components: dict[str, Any] = dict.fromkeys(index.absent)
    for part in index.parts:
        components[part.name] = yield from part_loading(found.path, part, target.dtype, target.home)
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


def _single_file(found: FoundModel, target: Target, sources: Sources) -> Loading:
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
    for part in index.parts:
        if part.name == "scheduler":
            components[part.name] = folders.class_of(part).from_config(scheduler)
        elif part.name.startswith("tokenizer"):
            components[part.name] = yield Call(partial(file.without_weights, part), stage=STAGE)
        else:
            tensors = yield Call(partial(file.read, part, target.dtype), where=Where.POOL, stage=STAGE)
            components[part.name] = yield Call(partial(file.build, part, tensors, target.home), stage=STAGE)
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
