"""What a picture of a job was made with, as files say it."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from diffusers import DPMSolverMultistepScheduler

from engine.diffusion.freeu import freeu_weights
from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.prompt_loras import take_out_loras
from engine.diffusion.samplers import SAMPLERS
from engine.interface import EngineError
from engine.library.folders import BadFolder
from engine.library.hashes import HashCache
from engine.library.records import Family, FoundModel, ModelKind
from engine.prompting.expand import Wording
from engine.signing import SOFTWARE
from protocol.recipes.recipe import Recipe, UsedFreeU, UsedLora, UsedSizeConditioning
from protocol.sampling import NoiseSchedule, SchedulerName

_SHOWN_DIGITS: Final = 10
_XL: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT, Family.SDXL_REFINER})


class MadeWith:
    """Tells it of the images of one job. On the side pool: the hash of a file is computed when it is first told."""

    def __init__(self, job: GenerationJob) -> None:
        self._job = job
        self._hashes = HashCache(job.studio.residency.models_dir)

    def recipe(self, wording: Wording, seed: int, width: int, height: int) -> Recipe:
        """Of one image.

        Args:
            width, height: of the finished picture.
        """
        job, params = self._job, self._job.params
        config = job.model.loaded.scheduler_config
        refiner = job.additions.refiner
        sizes, freeu = params.size_conditioning, params.freeu
        scheduler = params.scheduler or job.model.loaded.defaults.scheduler or own_sampler(config)
        return Recipe(
            prompt=params.prompt,
            negative_prompt=params.negative_prompt,
            full_prompt=tuple(text for text in wording.positive.texts if text),
            full_negative_prompt=tuple(text for text in wording.negative.texts if text),
            prompt_expansion=wording.expansion,
            styles=wording.styles,
            seed=seed,
            width=width,
            height=height,
            steps=job.steps,
            guidance_scale=job.guidance_scale,
            scheduler=str(scheduler),
            noise_schedule=str(params.noise_schedule or _own_schedule(config)),
            performance=None if params.performance is None else params.performance.value,
            sharpness=params.sharpness,
            adaptive_guidance=params.adaptive_guidance,
            size_conditioning=None if sizes is None else UsedSizeConditioning(**sizes.model_dump()),
            freeu=None if freeu is None else UsedFreeU(**freeu_weights(freeu, job.model.loaded)),
            clip_layer=1 + params.clip_skip + (job.model.loaded.family in _XL),
            model=stem(job.model.found),
            model_hash=self._hash(job.model.found),
            vae=None if params.vae is None else PurePosixPath(params.vae).name,
            loras=self._loras(),
            refiner=None if refiner is None else stem(refiner.model.found),
            refiner_hash=None if refiner is None else self._hash(refiner.model.found),
            refiner_start=None if refiner is None else refiner.start,
            refiner_swap=None if refiner is None else refiner.swap.value,
            made_by=SOFTWARE,
        )

    def _loras(self) -> tuple[UsedLora, ...]:
        """Those of the parameter and those that the prompt names."""
        params = self._job.params
        _, tagged = take_out_loras(params.prompt)
        used = []
        for ref in (*params.loras, *tagged):
            try:
                found = self._job.studio.find(ref.name, ModelKind.LORA)
            except EngineError:
                continue  # it was left out, and told
            used.append(UsedLora(name=stem(found), weight=ref.weight, hash=self._hash(found)))
        return tuple(used)

    def _hash(self, found: FoundModel) -> str | None:
        try:
            return self._hashes.sha256(found)[:_SHOWN_DIGITS]
        except (OSError, BadFolder):
            return None


def stem(found: FoundModel) -> str:
    """What files call a model: the name of its file, without folder and extension."""
    return PurePosixPath(found.name).name if found.is_folder else found.path.stem


def own_sampler(config: Mapping[str, Any]) -> str:
    """The name of a model's own sampler, by its configuration; that of its class if it has none."""
    own = str(config["_class_name"])
    if own.startswith("FlowMatch"):
        return SchedulerName.FLOW_HEUN if "Heun" in own else SchedulerName.FLOW_EULER
    names: dict[str, str] = {sampler.kind.__name__: name for name, sampler in reversed(tuple(SAMPLERS.items()))}
    names[DPMSolverMultistepScheduler.__name__] = (
        SchedulerName.DPMPP_2M_SDE if "sde" in str(config.get("algorithm_type")) else SchedulerName.DPMPP_2M
    )
    return names.get(own, own)


def _own_schedule(config: Mapping[str, Any]) -> NoiseSchedule:
    return NoiseSchedule.KARRAS if config.get("use_karras_sigmas") else NoiseSchedule.NORMAL
