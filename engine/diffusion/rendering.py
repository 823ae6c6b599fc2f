"""Pipelines of one job, run through from the first step to the last, with each step told and shown."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from torch import Tensor

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.job_brush import JobBrush
from engine.diffusion.previews import Previewer, Watch
from engine.diffusion.schedulers import Scheduler, eta_for, make_scheduler, total_steps
from engine.diffusion.spacing import LevelMaker
from engine.diffusion.studio import ReadyModel
from engine.library.records import Family

_DENOISED: Final = 0.95
"""Progress of an image when its last step is done; decoding it is the rest."""
_XL: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT, Family.SDXL_REFINER})


class Rendering:
    """Makes the pipelines of one job and runs them. In its greenlet."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._brush = JobBrush(job)

    def parameters(self) -> Mapping[str, Any]:
        """What the call of the job's own pipeline takes, by name."""
        loaded = self._job.model.loaded
        return call_parameters(self._controlled_class() or loaded.pipeline_class_for(self._job.kind))

    def scheduler(self, model: ReadyModel, levels: LevelMaker | None = None) -> Scheduler:
        """For `model`; the sampler is the first model's also where a refiner goes on.

        Args:
            levels: in the place of the noise schedule, for a sampler that takes any.
        """
        params, loaded = self._job.params, model.loaded
        return make_scheduler(
            loaded.scheduler_config,
            params.scheduler or self._job.model.loaded.defaults.scheduler,
            params.noise_schedule,
            warn=self._job.warn,
            is_sdxl=loaded.family in _XL,
            levels=levels,
        )

    def pipeline(self, scheduler: Scheduler) -> Any:
        """The job's own, with what it adds to its model."""
        loaded, additions = self._job.model.loaded, self._job.additions
        has_own_vae = additions.vae is not None or self._job.tile_px is not None
        replaced: dict[str, Any] = {"vae": self._job.vae} if has_own_vae else {}
        if additions.controls is not None:
            replaced |= additions.controls.components()
        replaced |= self._brush.components(scheduler)
        return loaded.pipeline(self._job.kind, scheduler, of_class=self._controlled_class(), **replaced)

    def run_through(
        self,
        pipeline: Any,
        index: int,
        given: Mapping[str, Any],
        *,
        done: int = 0,
        left: Callable[[], int] = lambda: 0,
        ends_clean: bool = False,
        shown_by: Previewer | None = None,
    ) -> Tensor:
        """What a pipeline makes for image `index`: pictures (1, 3, H, W), or latents.

        Args:
            given: laid over what every pipeline is given; what this one does not take is left out.
            done: steps of the image before this.
            left: steps of it after this; asked after the first.
            ends_clean: give what the last step expects the picture to be without the noise that is left.
            shown_by: makes previews of the latents; by default what the job's own VAE goes with.
        """
        job, scheduler = self._job, pipeline.scheduler
        watch = (shown_by or (job.additions.vae or job.model).previewer).watch(scheduler)
        given = {
            "num_inference_steps": job.steps,
            "guidance_scale": job.guidance_scale,
            "eta": eta_for(scheduler, job.params.eta, warn=job.warn),
            "output_type": "pt",
            "callback_on_step_end": partial(self._on_step, index, watch, done, left, ends_clean),
            # Of pipelines that have not learnt the other.
            "callback": partial(self._on_old_step, index, watch, scheduler),
            **given,
        }
        known = call_parameters(type(pipeline))
        if job.additions.prompt_times is not None:
            job.additions.prompt_times.begin(pipeline)
        made: Tensor = pipeline(**{name: value for name, value in given.items() if name in known}).images
        return made

    def _controlled_class(self) -> Any:
        """The diffusers class that listens to the job's ControlNets; None without any."""
        controls = self._job.additions.controls
        return None if controls is None else controls.pipeline_class(self._job.kind, self._job.model.loaded)

    def _on_step(
        self,
        index: int,
        watch: Watch,
        done: int,
        left: Callable[[], int],
        ends_clean: bool,
        pipeline: Any,
        step: int,
        _timestep: Any,
        tensors: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """After each step, within the pipeline."""
        self._tell_times(step + 1)
        self._tell_step(index, watch, done + step + 1, done + pipeline.num_timesteps + left(), tensors["latents"])
        if ends_clean and step + 1 == pipeline.num_timesteps:
            return {"latents": watch.clean(tensors["latents"])}
        return {}

    def _on_old_step(
        self, index: int, watch: Watch, scheduler: Scheduler, step: int, _timestep: Any, latents: Tensor
    ) -> None:
        """After each step, within a pipeline of the older kind."""
        self._tell_times(step + 1)
        self._tell_step(index, watch, step + 1, total_steps(scheduler), latents)

    def _tell_times(self, number: int) -> None:
        times = self._job.additions.prompt_times
        if times is not None:
            times.step_done(number)

    def _tell_step(self, index: int, watch: Watch, number: int, steps: int, latents: Tensor) -> None:
        context, params = self._job.context, self._job.params
        steps = max(number, steps)
        progress = (index + number / steps * _DENOISED) / params.images
        context.step(number, steps, image=index, progress=progress, stage="denoise")
        # Before a picture was looked at nobody is to see it.
        if context.wants_previews and not params.safety_check:
            shown = watch.picture(latents, self._job.scene.size, params.preview_px)
            context.preview(number, shown, image=index, max_px=params.preview_px)


def call_parameters(pipeline_class: Any) -> Mapping[str, Any]:
    """What the call of a pipeline class takes, by name."""
    return inspect.signature(pipeline_class.__call__).parameters
