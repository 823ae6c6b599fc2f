"""One CLIP text encoder of a model: chunks of tokens in, hidden states out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.diffusion.embeddings import EncoderRole
from engine.diffusion.placeholders import placeholders
from engine.diffusion.prompt_chunks import Chunk, Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class ChunkStates:
    """What an encoder makes of one chunk.

    Attributes:
        states: (1, tokens, width).
        pooled: (1, projection width), of encoders with a projection; else None.
    """

    states: Tensor
    pooled: Tensor | None


class ClipEncoder:
    """A text encoder with its tokenizer, both shared by all jobs. For the executor thread.

    Args:
        module: CLIPTextModel or CLIPTextModelWithProjection of transformers.
        is_penultimate: the model was trained on the states before the last layer and without the final norm, as SDXL;
            else on the last ones, as SD 1, or SD 2 whose encoders are saved without the layer it skips.
    """

    def __init__(self, module: nn.Module, tokenizer: Tokenizer, role: EncoderRole, *, is_penultimate: bool) -> None:
        self.tokenizer = tokenizer
        self.role = role
        self._module: Any = module
        self._is_penultimate = is_penultimate
        config: Any = cast("Any", module).config
        self.length: int = min(tokenizer.model_max_length, config.max_position_embeddings)
        """Tokens of a chunk, start and end among them."""
        spare = 2 if is_penultimate else 1
        self.max_clip_skip: int = max(0, config.num_hidden_layers - spare)
        """Layers that may be skipped so that one is left."""
        self.min_clip_skip: int = -1 if is_penultimate else 0
        """-1 takes the last layer as well; without the final norm, like those before it."""
        self._takes_mask = bool(getattr(config, "use_attention_mask", False)) and not is_penultimate

    @property
    def width(self) -> int:
        """Values per token, of its input vectors and of its states."""
        hidden_size: int = self._module.config.hidden_size
        return hidden_size

    @property
    def device(self) -> torch.device:
        """Where its inputs have to be; with weights that are moved in for each call, not where those are now."""
        for part in self._module.modules():
            if (device := getattr(getattr(part, "_hf_hook", None), "execution_device", None)) is not None:
                return torch.device(device)
        first: Tensor = next(self._module.parameters())
        return first.device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._module.dtype
        return dtype

    def encode(self, chunk: Chunk, *, clip_skip: int = 0, vectors: Sequence[Tensor] = ()) -> ChunkStates:
        """Run the encoder once, on one chunk: so the result does not depend on what else is encoded.

        Args:
            clip_skip: layers to leave out, `min_clip_skip`..`max_clip_skip`; the pooled output always has seen all.
            vectors: (width) each; an id of -1 in the chunk stands for the first, -2 for the second, and so on.
        """
        if not any(token_id < 0 for token_id in chunk.ids):
            return self._run(chunk.ids, chunk.used, clip_skip)
        table: nn.Module = self._module.get_input_embeddings()
        with placeholders(table, torch.stack(tuple(vectors))) as first:
            ids = tuple(first + 1 + token_id if token_id < 0 else token_id for token_id in chunk.ids)
            return self._run(ids, chunk.used, clip_skip)

    def _run(self, ids: Sequence[int], used: int, clip_skip: int) -> ChunkStates:
        device = self.device
        given: dict[str, Any] = {}
        if self._takes_mask:
            given["attention_mask"] = torch.tensor([[1] * used + [0] * (len(ids) - used)], device=device)
        if self._is_penultimate or clip_skip:
            given["output_hidden_states"] = True
        output = self._module(torch.tensor([ids], device=device), **given)
        states: Tensor
        if self._is_penultimate:
            states = output.hidden_states[-(clip_skip + 2)]
        elif clip_skip:
            # Directly in the model since transformers 5, one level down before and in those with a projection.
            inner = getattr(self._module, "text_model", self._module)
            norm, skipped = inner.final_layer_norm, output.hidden_states[-(clip_skip + 1)]
            # Between calls a norm that is moved in for each may be at home.
            states = norm(skipped.to(norm.weight.device)).to(skipped.device)
        else:
            states = output.last_hidden_state
        pooled: Tensor | None = getattr(output, "text_embeds", None)
        return ChunkStates(states.detach(), None if pooled is None else pooled.detach())
