"""Prompts with PowerPaint's learned words: which of them say what is to be done with a hole, and how they are mixed.

A task is two phrases put behind the prompt, and one behind the negative prompt. The share `fitting_degree` of the
first phrase's encoding and the rest of the second's are what the denoiser is given.

Source: Zhuang et al., A Task is Worth One Word, 2023, sections 3.2 to 3.4: P_obj paints what a text names, P_ctxt what
the context suggests, P_shape follows the mask, and removal is guided towards P_ctxt and away from P_obj.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.diffusion.generation_job import GenerationJob
from engine.diffusion.prompt_embeds import PromptEmbeds
from engine.diffusion.prompt_source import Warn
from engine.diffusion.prompts import PromptEncoder
from engine.diffusion.studio import ReadyModel
from engine.library.records import Family
from engine.library.task_words import TaskWord, pieces_of
from engine.prompting.texts import PromptTexts
from protocol.repainting import RepaintTask
from protocol.requests import TaskName


@dataclass(frozen=True, slots=True)
class TaskPhrases:
    """The words of one task.

    Attributes:
        fitting: behind the prompt, by the share `fitting_degree`.
        loose: likewise, for the rest.
        avoided: behind the negative prompt.
    """

    fitting: TaskWord
    loose: TaskWord
    avoided: TaskWord | None = None


PHRASES: Final[Mapping[RepaintTask, TaskPhrases]] = {
    RepaintTask.TEXT_GUIDED: TaskPhrases(TaskWord.OBJECT, TaskWord.OBJECT),
    RepaintTask.CONTEXT_AWARE: TaskPhrases(TaskWord.CONTEXT, TaskWord.CONTEXT),
    RepaintTask.SHAPE_GUIDED: TaskPhrases(TaskWord.SHAPE, TaskWord.CONTEXT),
    RepaintTask.OBJECT_REMOVE: TaskPhrases(TaskWord.CONTEXT, TaskWord.CONTEXT, TaskWord.OBJECT),
    RepaintTask.OUTPAINTING: TaskPhrases(TaskWord.CONTEXT, TaskWord.CONTEXT, TaskWord.OBJECT),
}
"""Total: every task has its words."""


class TaskEncoder:
    """Encodes prompts for one task. For the executor thread.

    Args:
        encoder: of a text encoder that has learned the words.
        tokenizer: its own.
        fitting_degree: above 0, at most 1.
    """

    def __init__(self, encoder: PromptEncoder, tokenizer: Any, task: RepaintTask, fitting_degree: float = 1.0) -> None:
        self._encoder = encoder
        self._phrases = PHRASES[task]
        self._degree = fitting_degree
        self._pieces = pieces_of(tokenizer.get_added_vocab())

    def encode(
        self, prompt: str | PromptTexts, negative_prompt: str | PromptTexts | None = None, **how: Any
    ) -> PromptEmbeds | None:
        """As `PromptEncoder.encode`, with the task's words behind both prompts."""
        phrases = self._phrases
        negative = negative_prompt if phrases.avoided is None else self._with(negative_prompt or "", phrases.avoided)
        fitting = self._encoder.encode(self._with(prompt, phrases.fitting), negative, **how)
        if phrases.loose is phrases.fitting or self._degree >= 1 or fitting is None:
            return fitting
        loose = self._encoder.encode(self._with(prompt, phrases.loose), negative, **how)
        assert loose is not None, "the same encoder encodes both"
        mixed = fitting.prompt_embeds * self._degree + loose.prompt_embeds * (1 - self._degree)
        return replace(fitting, prompt_embeds=mixed)

    def _with(self, prompt: str | PromptTexts, word: TaskWord) -> str | PromptTexts:
        if isinstance(prompt, str):
            return " ".join((prompt, *self._pieces.get(word, ()))).strip()
        texts = list(prompt.texts)
        # Behind what the prompt says, before words of quality.
        last = prompt.told - 1
        texts[last] = " ".join((texts[last], *self._pieces.get(word, ()))).strip()
        return replace(prompt, texts=tuple(texts))


def task_of(job: GenerationJob) -> RepaintTask:
    """What a job asks PowerPaint to do."""
    asked: RepaintTask | None = getattr(job.params, "repaint_task", None)
    if asked is not None:
        return asked
    return RepaintTask.OUTPAINTING if job.run.task is TaskName.OUTPAINT else RepaintTask.TEXT_GUIDED


def encoder_for(job: GenerationJob, model: ReadyModel, warn: Warn) -> PromptEncoder | TaskEncoder:
    """What encodes the prompts of `model` for a job: the model's own encoder, or around it one that adds the words.

    Args:
        warn: told of `repaint_task_unused` and `fitting_degree_unused`.
    """
    knows_words, brush = model.loaded.family is Family.POWERPAINT, job.additions.brush
    task, degree = task_of(job), getattr(job.params, "fitting_degree", None)
    # A BrushNet may know them in the model's place, and reads them by itself.
    are_read = knows_words or (brush is not None and brush.ready.words is not None)
    if not are_read and getattr(job.params, "repaint_task", None) is not None:
        warn("repaint_task_unused", f"repaint_task: {model.found.name!r} has not learned PowerPaint's words")
    if degree is not None and (not are_read or PHRASES[task].fitting is PHRASES[task].loose):
        warn("fitting_degree_unused", "fitting_degree has an effect on PowerPaint models alone, if shape-guided")
    if not knows_words:
        return model.encoder
    return TaskEncoder(model.encoder, model.loaded.components["tokenizer"], task, 1.0 if degree is None else degree)
