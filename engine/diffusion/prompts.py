"""Prompts as the embeddings that stock diffusers pipelines take, for the families with CLIP text encoders.

A prompt is cut into chunks of as many tokens as an encoder reads (77 with start and end), each is encoded alone, and
the results stand one after the other along the sequence. Prompts of one chunk without weights give what diffusers'
own `encode_prompt` gives, bit for bit.

Weights move a token's states away from what the empty prompt has at the same place, by that factor, or towards it
below 1. Source: ComfyUI. The other known way, AUTOMATIC1111's first one, multiplies the states themselves and then the
whole chunk so that its mean is as before; it divides by a mean that can be near 0, which is known to spoil pictures of
SDXL. Pooled outputs are never weighted, in either. Prompts in the syntax of Fooocus have both: moved as in ComfyUI,
then the chunk multiplied so that its mean is as before.

A prompt may be several texts: each is encoded as if it were alone, the results stand one after the other, and the
pooled output is the sum of theirs.

Clip skip holds for both prompts, as in the tools users know; diffusers leaves the negative one as it is.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor, nn

from engine.diffusion.clip_encoder import ClipEncoder
from engine.diffusion.embeddings import EncoderRole, load_embedding
from engine.diffusion.encoded_prompt import EncodedPrompt, in_a_row, weighted
from engine.diffusion.prepared_prompt import PreparedPrompt
from engine.diffusion.prompt_chunks import MAX_CHUNKS, Tokenizer
from engine.diffusion.prompt_embeds import PromptEmbeds
from engine.diffusion.prompt_source import PromptSource, Warn, read_prompt, say_nothing, warn_of_plain
from engine.interface import EngineError
from engine.library.records import Family
from engine.prompting.texts import PromptTexts, one_text
from protocol.errors import ErrorCode

ONE_ENCODER: Final = frozenset(
    {
        *(Family.SD1, Family.SD1_INPAINT, Family.INSTRUCT_PIX2PIX, Family.POWERPAINT),
        *(Family.SD2, Family.SD2_INPAINT),
    }
)
TWO_ENCODERS: Final = frozenset({Family.SDXL, Family.SDXL_INPAINT})
SECOND_ENCODER: Final = frozenset({Family.SDXL_REFINER})


@dataclass(frozen=True, slots=True)
class _Over:
    """What an encoding depends on beside the prompt.

    Attributes:
        clip_skip: last layers left out.
        state: of adapters.
        places: device and dtype of each encoder.
    """

    clip_skip: int
    state: Hashable
    places: tuple[tuple[torch.device, torch.dtype], ...]


class PromptEncoder:
    """Encodes the prompts of one model, and remembers the latest. For the executor thread.

    Args:
        components: of the model, by their names in diffusers.
        zeroes_missing_negative: whether a negative prompt of None is all zeros instead of the encoding of "": the
            pipelines' `force_zeros_for_empty_prompt`. None takes what the family was trained with.
        max_prompts, max_bytes: of prompts remembered.
    """

    def __init__(
        self,
        components: Mapping[str, object],
        family: Family,
        *,
        zeroes_missing_negative: bool | None = None,
        max_prompts: int = 64,
        max_bytes: int = 64 << 20,
    ) -> None:
        self._encoders = tuple(_encoders(components, family))
        is_zeroed = family in TWO_ENCODERS if zeroes_missing_negative is None else zeroes_missing_negative
        self._zeroes_missing_negative = is_zeroed and family not in ONE_ENCODER
        self._max_prompts = max_prompts
        self._max_bytes = max_bytes
        self._known: OrderedDict[tuple[PromptSource, _Over], EncodedPrompt] = OrderedDict()

    @property
    def max_clip_skip(self) -> int:
        """The most layers that can be skipped; 0 where clip skip means nothing."""
        return min((encoder.max_clip_skip for encoder in self._encoders), default=0)

    @property
    def min_clip_skip(self) -> int:
        """The least: -1, the last layer, where the family leaves that out."""
        return max((encoder.min_clip_skip for encoder in self._encoders), default=0)

    @property
    def size_bytes(self) -> int:
        """Of the prompts remembered."""
        return sum(encoded.size_bytes for encoded in self._known.values())

    def clear(self) -> None:
        """Forget all prompts, and so give their memory back."""
        self._known.clear()

    def encode(
        self,
        prompt: str | PromptTexts,
        negative_prompt: str | PromptTexts | None = None,
        *,
        guidance: bool,
        clip_skip: int = 0,
        embeddings: Mapping[str, Path] | None = None,
        state: Hashable = (),
        warn: Warn = say_nothing,
    ) -> PromptEmbeds | None:
        """Encode a prompt and, for guidance, a negative prompt, padded with empty chunks to the same length.

        Every chunk is one call of each encoder's module, so a job may be suspended here.

        Args:
            guidance: whether negative embeddings are needed.
            clip_skip: last layers to leave out beside what the family leaves out, `min_clip_skip`..`max_clip_skip`.
            embeddings: name -> file of the textual inversions that may be named in the prompts.
            state: equal only if whatever lies over the encoders is, LoRA above all.
            warn: told, each time, of what has no effect: `prompt_syntax_ignored`, `prompt_truncated`,
                `embedding_missing`, `clip_skip_unused`; where None is returned, `prompt_weights_ignored` and
                `embedding_ignored`.

        Returns:
            None for families whose pipelines have to encode prompts themselves; weights mean nothing there.

        Raises:
            EngineError: `invalid_params`: too much clip skip, or an embedding for other models; `bad_model`: an
                embedding that cannot be read.
        """
        offered = embeddings or {}
        wanted, unwanted = _texts(prompt), _texts(negative_prompt or "")
        if not self._encoders:
            for texts in (wanted, unwanted) if guidance else (wanted,):
                warn_of_plain(texts.whole, offered, warn, texts.syntax)
            return None
        least = self.min_clip_skip
        if clip_skip == -1 and least == 0:
            warn("clip_skip_unused", "clip_skip: this model takes the last layer of its text encoder in any case")
            clip_skip = 0
        if not least <= clip_skip <= self.max_clip_skip:
            message = f"clip_skip: expected {least}..{self.max_clip_skip} for this model, got {clip_skip}"
            raise EngineError(ErrorCode.INVALID_PARAMS, message)
        over = _Over(clip_skip, state, tuple((encoder.device, encoder.dtype) for encoder in self._encoders))
        positive = self._read(wanted, over, offered, warn)
        if not guidance:
            return PromptEmbeds(prompt_embeds=self._joined(positive, positive.chunks, over), pooled=positive.pooled)
        if negative_prompt is None and self._zeroes_missing_negative:
            embeds = self._joined(positive, positive.chunks, over)
            return PromptEmbeds(
                prompt_embeds=embeds,
                negative_prompt_embeds=torch.zeros_like(embeds),
                pooled=positive.pooled,
                negative_pooled=None if positive.pooled is None else torch.zeros_like(positive.pooled),
            )
        negative = self._read(unwanted, over, offered, warn)
        chunks = max(positive.chunks, negative.chunks)
        return PromptEmbeds(
            prompt_embeds=self._joined(positive, chunks, over),
            negative_prompt_embeds=self._joined(negative, chunks, over),
            pooled=positive.pooled,
            negative_pooled=negative.pooled,
        )

    def _read(self, prompt: PromptTexts, over: _Over, offered: Mapping[str, Path], warn: Warn) -> EncodedPrompt:
        texts: list[EncodedPrompt] = []
        room = MAX_CHUNKS
        for text in prompt.texts[:MAX_CHUNKS]:
            texts.append(self._encoded(read_prompt(text, offered, warn, prompt.syntax), over).cut(room))
            room -= texts[-1].chunks
            if not room:
                break
        if len(texts) < len(prompt.texts) or any(text.is_truncated for text in texts):
            warn("prompt_truncated", f"prompt: only its first {MAX_CHUNKS} chunks of tokens are used")
        return texts[0] if len(texts) == 1 else in_a_row(texts, told=prompt.told)

    def _encoded(self, source: PromptSource, over: _Over) -> EncodedPrompt:
        key = (source, over)
        encoded = self._known.get(key)
        if encoded is None:
            encoded = self._known[key] = self._encode(source, over)
        self._known.move_to_end(key)
        while len(self._known) > self._max_prompts or (len(self._known) > 1 and self.size_bytes > self._max_bytes):
            self._known.popitem(last=False)
        return encoded

    def _encode(self, source: PromptSource, over: _Over) -> EncodedPrompt:
        embeddings = [load_embedding(file.name, file.path) for file in source.files]
        # All before the first forward: an embedding for another model is found out before anything is computed.
        prepared = [PreparedPrompt(encoder, source, embeddings) for encoder in self._encoders]
        chunks = max(len(each.chunks) for each in prepared)
        states: list[Tensor] = []
        pooled: Tensor | None = None
        for number, each in enumerate(prepared):
            made: list[Tensor] = []
            for chunk in each.chunks:
                given = each.encoder.encode(chunk, clip_skip=over.clip_skip, vectors=each.vectors)
                if not made and given.pooled is not None:
                    pooled = given.pooled
                shifted = given.states
                if chunk.is_weighted:
                    empty = self._empty(number, over)
                    shifted = weighted(shifted, empty, chunk, keeps_mean=source.keeps_mean)
                made.append(shifted)
            states.append(self._padded(torch.cat(made, dim=1), number, chunks - len(made), over))
        return EncodedPrompt(tuple(states), pooled, chunks, any(each.is_truncated for each in prepared))

    def _empty(self, number: int, over: _Over) -> Tensor:
        """What encoder `number` makes of the empty prompt."""
        return self._encoded(PromptSource(), over).states[number]

    def _joined(self, encoded: EncodedPrompt, chunks: int, over: _Over) -> Tensor:
        """(1, `chunks` x length, width of all encoders together)."""
        missing = chunks - encoded.chunks
        padded = [self._padded(states, number, missing, over) for number, states in enumerate(encoded.states)]
        return torch.cat(padded, dim=-1)

    def _padded(self, states: Tensor, number: int, missing: int, over: _Over) -> Tensor:
        """The states of encoder `number`, with as many empty chunks behind them."""
        return torch.cat([states, *[self._empty(number, over)] * missing], dim=1) if missing else states


def _texts(prompt: str | PromptTexts) -> PromptTexts:
    return one_text(prompt) if isinstance(prompt, str) else prompt


def _encoders(components: Mapping[str, object], family: Family) -> Iterator[ClipEncoder]:
    """The text encoders of a family whose prompts are encoded here, in the order their states are joined."""
    wanted: list[tuple[str, EncoderRole]] = []
    if family in ONE_ENCODER | TWO_ENCODERS:
        wanted.append(("", EncoderRole.CLIP_L))
    if family in TWO_ENCODERS | SECOND_ENCODER:
        wanted.append(("_2", EncoderRole.CLIP_G))
    for suffix, role in wanted:
        module, tokenizer = components.get(f"text_encoder{suffix}"), components.get(f"tokenizer{suffix}")
        if isinstance(module, nn.Module) and tokenizer is not None:
            yield ClipEncoder(module, cast("Tokenizer", tokenizer), role, is_penultimate=family not in ONE_ENCODER)
