"""What a request asks of prompts, and what an output tells of those it was made from."""

from collections.abc import Mapping
from typing import Any

from engine.diffusion.prompt_loras import take_out_loras
from engine.prompting.expand import Wording, WrittenPrompt, as_it_is
from protocol.generation import GenerationParams


def written_in(params: GenerationParams) -> WrittenPrompt:
    """The prompts of a request, without what they say of LoRAs."""
    prompt, _ = take_out_loras(params.prompt)
    return WrittenPrompt(
        prompt=prompt,
        negative_prompt=params.negative_prompt,
        syntax=params.prompt_syntax,
        styles=params.styles,
        wildcards_in_order=params.wildcards_in_order,
    )


def told_of(written: WrittenPrompt, wording: Wording) -> Mapping[str, Any]:
    """For the data of an output: the texts it was made from, where they are not just what was written."""
    if wording == as_it_is(written):
        return {}
    told: dict[str, Any] = {
        "prompt": list(wording.positive.texts),
        "negative_prompt": [text for text in wording.negative.texts if text],
        "styles": list(wording.styles),
    }
    return told if wording.expansion is None else {**told, "prompt_expansion": wording.expansion}
