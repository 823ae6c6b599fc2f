"""Encoded prompts, as stock diffusers pipelines take them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PromptEmbeds:
    """A prompt and a negative prompt, encoded; a batch of 1. Shared between jobs: not to be written to.

    Attributes:
        prompt_embeds, negative_prompt_embeds: (1, tokens, width), of the same shape.
        pooled, negative_pooled: (1, width) in families with a second encoder, else None.

    The negative ones are None where guidance is off.
    """

    prompt_embeds: Tensor
    negative_prompt_embeds: Tensor | None = None
    pooled: Tensor | None = None
    negative_pooled: Tensor | None = None

    def as_kwargs(self) -> dict[str, Tensor]:
        """For the call of a stock pipeline, instead of `prompt` and `negative_prompt`."""
        named = {
            "prompt_embeds": self.prompt_embeds,
            "negative_prompt_embeds": self.negative_prompt_embeds,
            "pooled_prompt_embeds": self.pooled,
            "negative_pooled_prompt_embeds": self.negative_pooled,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}
