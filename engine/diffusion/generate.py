"""From a request to pictures: what all generating tasks do, whatever they start from.

    generate    the steps of a task; the job's loop over its images

It runs in a greenlet. Wherever the stock pipeline calls one of the model's networks, the executor decides when that
call is run, and with whose: see `engine.diffusion.interception`.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch

from engine.diffusion.additions import bring_additions
from engine.diffusion.alterations import Alterations
from engine.diffusion.beginning import begin
from engine.diffusion.editors import edited
from engine.diffusion.families import PipelineKind
from engine.diffusion.finishing import Finishing
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.inpaint_patches import PatchFiles
from engine.diffusion.job_guides import guides
from engine.diffusion.job_prompts import JobPrompts
from engine.diffusion.job_wording import JobWording
from engine.diffusion.patch_choice import patch_for
from engine.diffusion.performance import as_performed
from engine.diffusion.refining import Refining
from engine.diffusion.rendering import Rendering
from engine.diffusion.replay import replay, runs_all_steps
from engine.diffusion.scene import Compose, Develop, Scene
from engine.diffusion.scope import JobScope, job_scope
from engine.diffusion.seeds import image_seed
from engine.diffusion.studio import Studio
from engine.diffusion.unused import tell_unused
from engine.images import from_tensor
from engine.interface import Call, Run, RunContext, Steps, Where
from engine.library.records import FoundModel
from engine.made import Take
from engine.steps import await_call, await_steps, blocking
from protocol.generation import GenerationParams


def generate(
    run: Run,
    context: RunContext,
    studio: Studio,
    kind: PipelineKind,
    compose: Compose,
    *,
    develop: Develop | None = None,
    tile_px: int | None = None,
    take: Take | None = None,
) -> Steps:
    """Make the pictures of a generating task, one output each.

    Image i of a job is the picture a job for one image with its seed makes; see `engine.diffusion.seeds`.

    Args:
        develop: what other networks have to do to the scene before the first step.
        tile_px: side of the tiles that the VAE works in; None is whole pictures.
        take: gets the pictures in the place of outputs.

    Raises:
        EngineError: `model_missing`, `bad_model`; `invalid_params`: the model cannot do this; `bad_image`.
    """
    return blocking(partial(_generate, run, context, studio, kind, compose, develop, tile_px, take))


def _generate(
    run: Run,
    context: RunContext,
    studio: Studio,
    kind: PipelineKind,
    compose: Compose,
    develop: Develop | None,
    tile_px: int | None,
    take: Take | None,
) -> None:
    params = run.params
    assert isinstance(params, GenerationParams)
    # Beside the device: it may have to look through folders.
    found = cast("FoundModel", await_call(Call(partial(studio.find, params.model), Where.POOL, "read")))
    choose = partial(patch_for, params, found, studio, context.warn)
    patch = cast("PatchFiles | None", await_call(Call(choose, Where.POOL, "read")))
    model = await_steps(studio.ready(found, patch))
    # Until the last picture is made nobody's need for room takes the weights away.
    with ExitStack() as held:
        held.enter_context(studio.in_use(model))
        model.loaded.check_can(kind)
        params = as_performed(params, found.family, studio, context.warn)
        run = replace(run, params=params)
        additions = bring_additions(studio, params, model, held, context.warn)
        scene = cast("Scene", await_call(Call(partial(compose, run, context, model), Where.POOL, "read")))
        if develop is not None:
            scene = await_steps(develop(scene))
        job = GenerationJob(
            run=run,
            params=params,
            context=context,
            studio=studio,
            model=model,
            additions=additions,
            kind=kind,
            scene=scene,
            tile_px=tile_px,
            take=take,
        )
        _Pictures(job).make_all()


class _Pictures:
    """The images of one job, one after another."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._rendering = Rendering(job)
        self._parameters = self._rendering.parameters()
        self._wording = JobWording(job)
        self._prompts = JobPrompts(job, self._wording, job.model, self._parameters)
        refiner = job.additions.refiner
        self._refining: Refining | None = None
        if refiner is not None:
            prompts = JobPrompts(job, self._wording, refiner.model, {}, is_told=False)
            self._refining = Refining(job, self._rendering, refiner, prompts)
        self._alterations = Alterations(job, self._rendering)
        self._finishing = Finishing(job, self._wording)

    def make_all(self) -> None:
        around = (*(() if self._refining is None else self._refining.around), *self._alterations.around)
        scope = JobScope(self._job.additions.adapters, deterministic=self._job.params.deterministic, around=around)
        with job_scope(scope):
            self._make_all()

    def _make_all(self) -> None:
        job = self._job
        tell_unused(job.params, self._parameters, job.warn)
        first = job.run.first_image
        # What is wrong with a prompt is found out before a picture is read.
        self._prompts.of(first)
        self._finishing.prepare()
        fixed = {**edited(job, job.scene.arguments(), self._parameters), **guides(job)}
        for index in range(first, job.params.images):
            with job.context.image(index):
                self._make(index, fixed)
                self._alterations.tell_unused()

    def _make(self, index: int, fixed: Mapping[str, Any]) -> None:
        job, rendering = self._job, self._rendering
        seed = image_seed(job.run, index)
        generator = torch.Generator().manual_seed(seed)
        given = {**self._prompts.of(index), **fixed, "generator": generator}
        pipeline = rendering.pipeline(rendering.scheduler(job.model))
        begin(pipeline, job.params, given.get("strength", 1.0), job.warn)
        if "strength" in given:
            given |= self._replayed(given["strength"])
        if self._refining is None:
            made = rendering.run_through(pipeline, index, given)
        else:
            made = self._refining.make(pipeline, index, given)
        self._finishing.keep(index, from_tensor(made[:1]), seed)

    def _replayed(self, strength: float) -> Mapping[str, Any]:
        """What a pipeline that starts from a picture is given for its strength."""
        asked = replay(self._job.steps, strength, is_full=runs_all_steps(self._job.params))
        return {"num_inference_steps": asked.levels, "strength": asked.strength}
