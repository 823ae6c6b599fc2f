"""A job's BrushNet at work: what its pipelines call in the place of their UNet."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from torch import Tensor

from engine.diffusion.brushed_unet import BrushedUnet, Brushwork
from engine.diffusion.brushes import Brush
from engine.diffusion.control_pictures import Subject
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.schedulers import Scheduler
from engine.diffusion.task_prompts import task_of
from engine.interface import Call, Where
from engine.steps import await_call


class JobBrush:
    """Shows the BrushNet the job's picture when the first pipeline is made. In the job's greenlet."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._work: Brushwork | None = None

    def components(self, scheduler: Scheduler) -> Mapping[str, Any]:
        """For one run of a pipeline; nothing if the job has no BrushNet.

        Args:
            scheduler: of that run.
        """
        brush = self._job.additions.brush
        if brush is None:
            return {}
        if self._work is None:
            # On the side pool: it is cut out and brought to the model's size.
            subject = cast("Subject", await_call(Call(lambda: self._job.scene.subject, Where.POOL, "read")))
            seen = brush.see(self._job.vae, subject)
            self._work = Brushwork(net=brush.ready.net, ref=brush.ref, seen=seen, text=self._text(brush))
        unet = self._job.model.loaded.denoiser
        return {"unet": BrushedUnet(unet, self._work, partial(_steps_left, scheduler))}

    def _text(self, brush: Brush) -> Tensor | None:
        words, job = brush.ready.words, self._job
        if words is None:
            return None
        degree = getattr(job.params, "fitting_degree", None)
        return words.read(task_of(job), 1.0 if degree is None else degree, is_guided=job.is_guided(job.model))


def _steps_left(scheduler: Any, timestep: Any) -> int:
    """How many calls of the denoiser a run has from this one on; less than all where a picture is begun late."""
    begun = getattr(scheduler, "begin_index", None)  # not every scheduler is told
    if begun is None:
        begun = int((scheduler.timesteps == timestep).nonzero()[0])
    return len(scheduler.timesteps) - begun
