"""What a job wants around the forwards of its denoisers and ControlNets, and whether it came to act."""

from typing import Final

from torch import nn

from engine.diffusion.control_softness import SoftControl
from engine.diffusion.denoiser_answers import Answers
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.rendering import Rendering
from engine.diffusion.scope import Around
from engine.diffusion.shaped_guidance import ShapedGuidance
from engine.diffusion.size_conditioning import ToldSizes
from engine.library.records import Family

_READ: Final = frozenset(
    {
        Family.SD1,
        Family.SD1_INPAINT,
        Family.PAINT_BY_EXAMPLE,
        Family.POWERPAINT,
        Family.SD2,
        Family.SD2_INPAINT,
        Family.SDXL,
        Family.SDXL_INPAINT,
        Family.SDXL_REFINER,
        Family.SD3,
    }
)
"""Families that answer with and without the prompt in one forward, in that order, in a form that is known."""


class Alterations:
    """Of one job. Made before its first image."""

    def __init__(self, job: GenerationJob, rendering: Rendering) -> None:
        self._job = job
        params, controls = job.params, job.additions.controls
        nets: frozenset[nn.Module] = (
            frozenset(each.net for each in controls.nets) if controls is not None else frozenset()
        )
        is_shaped = bool(params.sharpness) or params.adaptive_guidance is not None
        answers = _answers(job, rendering) if is_shaped or params.size_conditioning is not None else {}
        self._guidance: ShapedGuidance | None = None
        self._sizes: ToldSizes | None = None
        around: list[Around] = []
        if is_shaped:
            self._guidance = ShapedGuidance(
                job.guidance_scale, sharpness=params.sharpness, adaptive=params.adaptive_guidance, answers=answers
            )
            around.append(self._guidance)
        if params.size_conditioning is not None:
            timesteps = {module: each.timesteps for module, each in answers.items()}
            timesteps |= dict.fromkeys(nets, next(iter(timesteps.values()), 1000))
            self._sizes = ToldSizes(params.size_conditioning, timesteps)
            around.append(self._sizes)
        if params.control_softness and nets:
            around.append(SoftControl(params.control_softness, nets))
        if job.additions.prompt_times is not None:
            around.append(job.additions.prompt_times)
        self.around = tuple(around)

    def tell_unused(self) -> None:
        """Warn of what found nothing to act on, once an image has been made."""
        job, params = self._job, self._job.params
        if self._guidance is not None and not self._guidance.has_acted:
            why = "it needs a model that answers with and without the prompt, and a guidance scale above 1"
            if params.sharpness:
                job.warn("sharpness_unused", f"sharpness has no effect: {why}")
            if params.adaptive_guidance is not None:
                job.warn("adaptive_guidance_unused", f"adaptive_guidance has no effect: {why}")
        if self._sizes is not None and not self._sizes.has_acted:
            job.warn("size_conditioning_unused", "size_conditioning has no effect: only SDXL is told of sizes")
        if params.control_softness and job.additions.controls is None:
            job.warn("control_softness_unused", "control_softness has no effect without controls")


def _answers(job: GenerationJob, rendering: Rendering) -> dict[nn.Module, Answers]:
    """How the answers of each of the job's denoisers are to be read, as far as that is known."""
    refiner = job.additions.refiner
    models = (job.model,) if refiner is None else (job.model, refiner.model)
    found = {}
    for model in models:
        answers = Answers.of(rendering.scheduler(model)) if model.loaded.family in _READ else None
        if answers is not None:
            found[model.loaded.denoiser] = answers
    return found
