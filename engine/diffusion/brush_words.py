"""What a BrushNet with attention reads: the learned words of PowerPaint 2, through a text encoder of its own.

The encoder lies beside the network, with a tokenizer that knows the words. They alone are told to the BrushNet; the
prompts are read by the model, with its own encoder, and told to its UNet alone.

Source: Zhuang et al., A Task is Worth One Word, 2023, and the published second version, whose words against which is
guided differ from the first one's: what is painted by a text is guided away from P_obj as well, a shape from itself.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.diffusion.folders import Part, class_of, load_module, load_part
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.prompts import PromptEncoder
from engine.diffusion.unusable import READ_ERRORS, ModelUnusable, explain, let_go
from engine.interface import Call
from engine.library.records import Family, FoundModel
from engine.library.task_words import TaskWord, has_task_words, pieces_of
from protocol.repainting import RepaintTask

TOKENIZER: Final = Part("tokenizer", "transformers", "CLIPTokenizer")
ENCODERS: Final = ("text_encoder_brushnet", "text_encoder")
"""Folders of the encoder, as IOPaint and as PowerPaint's authors publish it."""
_CLASS: Final = Part("text_encoder", "transformers", "CLIPTextModel")


@dataclass(frozen=True, slots=True)
class TaskReading:
    """The words of one task; of each pair the first counts by the share `fitting_degree`, the second for the rest."""

    wanted: tuple[TaskWord, TaskWord]
    avoided: tuple[TaskWord, TaskWord] | None
    """None is the empty text."""

    @property
    def is_mixed(self) -> bool:
        """Whether the degree means anything."""
        return self.wanted[0] is not self.wanted[1]


def _same(word: TaskWord) -> tuple[TaskWord, TaskWord]:
    return word, word


_SHAPED: Final = (TaskWord.SHAPE, TaskWord.CONTEXT)
_EMPTY: Final = TaskReading(_same(TaskWord.CONTEXT), _same(TaskWord.OBJECT))
READINGS: Final[Mapping[RepaintTask, TaskReading]] = {
    RepaintTask.TEXT_GUIDED: TaskReading(_same(TaskWord.OBJECT), _same(TaskWord.OBJECT)),
    RepaintTask.CONTEXT_AWARE: TaskReading(_same(TaskWord.CONTEXT), None),
    RepaintTask.SHAPE_GUIDED: TaskReading(_SHAPED, _SHAPED),
    RepaintTask.OBJECT_REMOVE: _EMPTY,
    RepaintTask.OUTPAINTING: _EMPTY,
}
"""Total: every task has its words."""


@dataclass(frozen=True, slots=True)
class BrushWords:
    """A text encoder that has learned the words, in memory. For the executor thread."""

    module: Any
    encoder: PromptEncoder
    pieces: Mapping[TaskWord, tuple[str, ...]]

    def read(self, task: RepaintTask, fitting_degree: float, *, is_guided: bool) -> Tensor:
        """What the network is told. In a job's greenlet: it calls the encoder.

        Args:
            fitting_degree: 0..1; how closely the shape of the mask is followed, with `shape-guided`.

        Returns:
            (2, tokens, width), what is guided against first; (1, tokens, width) without guidance.
        """
        reading = READINGS[task]
        pairs = (reading.avoided, reading.wanted) if is_guided else (reading.wanted,)
        return torch.cat([self._mixed(pair, fitting_degree) for pair in pairs])

    def _mixed(self, pair: tuple[TaskWord, TaskWord] | None, degree: float) -> Tensor:
        if pair is None:
            return self._encoded("")
        first, second = (" ".join(self.pieces[word]) for word in pair)
        if first == second:
            return self._encoded(first)
        return self._encoded(first) * degree + self._encoded(second) * (1 - degree)

    def _encoded(self, text: str) -> Tensor:
        encoded = self.encoder.encode(text, guidance=False)
        assert encoded is not None, "one CLIP encoder reads it"
        return encoded.prompt_embeds


def words_loading(found: FoundModel, width: int, model: LoadedModel) -> Generator[Call, Any, BrushWords | None]:
    """The encoder that lies beside a BrushNet, in calls, at home where the model is; None if there is none.

    Use with `yield from`.

    Args:
        width: of the text the BrushNet attends to.

    Raises:
        ModelUnusable: it is corrupt, incomplete, or made for another network.
    """
    beside = found.path.parent
    place = next((beside / name for name in ENCODERS if (beside / name / "config.json").is_file()), None)
    if place is None or not has_task_words(beside / TOKENIZER.name):
        return None
    try:
        tokenizer = yield Call(partial(load_part, beside, TOKENIZER, model.dtype, model.home), stage="load")
        words: BrushWords = yield Call(partial(_build, place, tokenizer, width, model), stage="load")
        return words
    except READ_ERRORS as error:
        let_go(error)
        problem = explain(error, place)
    raise ModelUnusable(found.name, problem)


def _build(place: Path, tokenizer: Any, width: int, model: LoadedModel) -> BrushWords:
    module = load_module(class_of(_CLASS), place, model.dtype, model.home, part=place.name)
    if module.config.hidden_size != width:
        raise ValueError(f"its {place.name} is of width {module.config.hidden_size}, and the BrushNet reads {width}")
    encoder = PromptEncoder({"text_encoder": module, "tokenizer": tokenizer}, Family.SD1)
    return BrushWords(module, encoder, pieces_of(tokenizer.get_added_vocab()))
