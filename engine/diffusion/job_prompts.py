"""The prompts of a job's images, as the pipelines of its models take them."""

from collections.abc import Mapping
from typing import Any

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.plain_prompts import plain_prompts
from engine.diffusion.prompt_source import say_nothing
from engine.diffusion.studio import ReadyModel
from engine.diffusion.task_prompts import encoder_for


class JobPrompts:
    """Encodes them when they are first asked for. In a job's greenlet.

    Args:
        model: whose encoders read them.
        parameters: of the pipeline's call, by name, for a model that has to encode prompts itself.
        is_told: warn of what has no effect.
    """

    def __init__(
        self, job: GenerationJob, model: ReadyModel, parameters: Mapping[str, Any], *, is_told: bool = True
    ) -> None:
        self._job = job
        self._model = model
        self._parameters = parameters
        self._is_told = is_told
        self._encoded: dict[tuple[str, str], Mapping[str, Any]] = {}

    def of(self, index: int) -> Mapping[str, Any]:
        """What the pipeline is given for the prompts of image `index`.

        Raises:
            EngineError: `invalid_params`, `bad_model`: see `PromptEncoder.encode`.
        """
        texts = self._texts(index)
        if texts not in self._encoded:
            self._encoded[texts] = self._encode(*texts)
        return self._encoded[texts]

    def _texts(self, _index: int) -> tuple[str, str]:
        """The prompt and the negative prompt of an image: so far the same for all of a job."""
        return self._job.additions.prompt, self._job.params.negative_prompt

    def _encode(self, prompt: str, negative_prompt: str) -> Mapping[str, Any]:
        job, params = self._job, self._job.params
        warn = job.warn if self._is_told else say_nothing
        is_guided = job.is_guided(self._model)
        encoded = encoder_for(job, self._model, warn).encode(
            prompt,
            # Some families take no negative prompt for another thing than an empty one.
            negative_prompt or None,
            guidance=is_guided,
            clip_skip=params.clip_skip,
            embeddings=job.studio.embeddings(),
            state=job.additions.text_state,
            warn=job.context.warn if self._is_told else say_nothing,
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
        if negative_prompt and not is_guided:
            why = (
                "with a guidance scale of 1 or less"
                if job.guidance_scale <= 1
                else "the model was distilled without one"
            )
            warn("negative_prompt_unused", f"negative_prompt has no effect: {why}")
        return encoded.as_kwargs()
