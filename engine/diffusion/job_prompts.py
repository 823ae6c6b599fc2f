"""The prompts of a job's images, as the pipelines of its models take them."""

from collections.abc import Mapping
from typing import Any

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.job_wording import JobWording
from engine.diffusion.plain_prompts import plain_prompts
from engine.diffusion.prompt_source import say_nothing
from engine.diffusion.studio import ReadyModel
from engine.diffusion.task_prompts import encoder_for
from engine.prompting.expand import Wording
from engine.prompting.texts import PromptTexts, one_text


class JobPrompts:
    """Encodes them when they are first asked for. In a job's greenlet.

    Args:
        wording: what each image is made from.
        model: whose encoders read them.
        parameters: of the pipeline's call, by name, for a model that has to encode prompts itself.
        is_told: warn of what has no effect.
    """

    def __init__(
        self,
        job: GenerationJob,
        wording: JobWording,
        model: ReadyModel,
        parameters: Mapping[str, Any],
        *,
        is_told: bool = True,
    ) -> None:
        self._job = job
        self._wording = wording
        self._model = model
        self._parameters = parameters
        self._is_told = is_told
        self._latest: tuple[Wording, Mapping[str, Any]] | None = None

    def of(self, index: int) -> Mapping[str, Any]:
        """What the pipeline is given for the prompts of image `index`.

        Raises:
            EngineError: `invalid_params`, `bad_model`: see `PromptEncoder.encode`.
        """
        wording = self._wording.of(index)
        if self._latest is None or self._latest[0] != wording:
            self._latest = wording, self._encode(wording.positive, wording.negative)
        return self._latest[1]

    def _encode(self, prompt: PromptTexts, negative_prompt: PromptTexts) -> Mapping[str, Any]:
        job, params = self._job, self._job.params
        warn = job.warn if self._is_told else say_nothing
        is_guided = job.is_guided(self._model)
        encoded = encoder_for(job, self._model, warn).encode(
            prompt,
            # Some families take no negative prompt for another thing than an empty one; Fooocus does not.
            None if negative_prompt == one_text("") else negative_prompt,
            guidance=is_guided,
            clip_skip=params.clip_skip,
            embeddings=job.studio.embeddings(),
            state=job.additions.text_state,
            warn=job.warn_each if self._is_told else say_nothing,
        )
        if encoded is None:
            return plain_prompts(
                prompt,
                negative_prompt,
                model=self._model.loaded,
                parameters=self._parameters,
                guidance_scale=job.guidance_scale,
                clip_skip=params.clip_skip,
                warn=warn,
            )
        if negative_prompt.says_something and not is_guided:
            why = (
                "with a guidance scale of 1 or less"
                if job.guidance_scale <= 1
                else "the model was distilled without one"
            )
            warn("negative_prompt_unused", f"negative_prompt has no effect: {why}")
        return encoded.as_kwargs()
