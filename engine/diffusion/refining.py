"""A picture made by two models, the second taking over from the first."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from engine.diffusion.families import PipelineKind
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.job_prompts import JobPrompts
from engine.diffusion.joint_swap import JointSwap
from engine.diffusion.refiner import Cut, Refiner, calls_left
from engine.diffusion.rendering import Rendering, call_parameters
from engine.diffusion.renoising import renoised
from engine.diffusion.scope import Around
from protocol.refining import RefinerSwap


class Refining:
    """Of one job that has a refiner.

    Args:
        prompts: as the refiner takes them.
    """

    def __init__(self, job: GenerationJob, rendering: Rendering, refiner: Refiner, prompts: JobPrompts) -> None:
        self._job = job
        self._rendering = rendering
        self._refiner = refiner
        self._prompts = prompts
        is_joint = refiner.swap is RefinerSwap.JOINT
        self._joint = JointSwap(job.model.loaded, refiner.model.loaded) if is_joint else None

    @property
    def around(self) -> tuple[Around, ...]:
        """What has to be around the job's forwards."""
        return () if self._joint is None else (self._joint,)

    def make(self, pipeline: Any, index: int, given: Mapping[str, Any]) -> Tensor:
        """Image `index`, (1, 3, H, W), begun by `pipeline` and ended by the refiner, if there is something left for it.

        Args:
            given: what the first model's pipeline is given.
        """
        steps = given.get("num_inference_steps", self._job.steps)
        prompts = self._prompts.of(index)
        cut = self._cut(pipeline, steps, given.get("strength", 1.0))
        if cut is None:
            return self._rendering.run_through(pipeline, index, given)
        if self._joint is not None:
            with self._joint.during(cut, prompts, self._job.scene.size):
                return self._rendering.run_through(pipeline, index, given)
        given = {**given, "denoising_end": cut.share}
        passed = {**prompts, "generator": given["generator"], "num_inference_steps": steps}
        if self._refiner.swap is RefinerSwap.VAE:
            return self._by_vae(pipeline, index, given, passed, cut)
        return self._separately(pipeline, index, given, passed, cut)

    def _cut(self, pipeline: Any, steps: int, strength: float) -> Cut | None:
        """Where the refiner takes over; None if it has no part, which is told."""
        if self._joint is None and "denoising_end" not in call_parameters(type(pipeline)):
            unused = "changing a picture along a control cannot be handed over"
        else:
            scheduler = self._rendering.scheduler(self._job.model)
            scheduler.set_timesteps(steps)
            first = (steps - min(int(steps * strength), steps)) * scheduler.order
            cut = self._refiner.cut(scheduler, first)
            if cut is not None:
                return cut
            unused = f"the picture begins after refiner_start, {self._refiner.start:g}, or ends before it"
        self._job.warn("refiner_unused", f"refiner: {unused}; it has no part in the picture")
        return None

    def _separately(
        self, pipeline: Any, index: int, given: Mapping[str, Any], passed: Mapping[str, Any], cut: Cut
    ) -> Tensor:
        left = partial(calls_left, pipeline.scheduler, cut)
        latents = self._rendering.run_through(pipeline, index, {**given, "output_type": "latent"}, left=left)
        scheduler = self._rendering.scheduler(self._refiner.model)
        following = self._refiner.pipeline(scheduler, self._job.vae)
        passed = {**passed, **self._refiner.arguments(latents, cut)}
        return self._rendering.run_through(following, index, passed, done=pipeline.num_timesteps)

    def _by_vae(
        self, pipeline: Any, index: int, given: Mapping[str, Any], passed: Mapping[str, Any], cut: Cut
    ) -> Tensor:
        """By way of the picture the first model expects where it is left."""
        scheduler = pipeline.scheduler
        left = partial(calls_left, scheduler, cut)
        picture = self._rendering.run_through(pipeline, index, given, left=left, ends_clean=True)
        steps_left = -(-left() // scheduler.order)
        if not steps_left:
            return picture
        make = partial(self._rendering.scheduler, self._refiner.model)
        following, sampling = renoised(make, passed["num_inference_steps"], steps_left)
        changing = self._refiner.model.loaded.pipeline(PipelineKind.IMAGE_TO_IMAGE, following)
        return self._rendering.run_through(
            changing,
            index,
            {**passed, **sampling, "image": picture},
            done=pipeline.num_timesteps,
            shown_by=self._refiner.model.previewer,
        )
