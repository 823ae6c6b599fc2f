"""Prompts as plain text, for the families whose pipelines encode them themselves: SD 3, Flux and all others.

What a pipeline takes is told by its parameters. What of the prompts it cannot take is left out, and said.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from engine.diffusion.guidance import embeds_guidance
from engine.diffusion.loaded import LoadedModel
from engine.diffusion.prompt_weights import parse_prompt
from engine.interface import EngineError
from engine.prompting.texts import PromptTexts
from protocol.errors import ErrorCode

Warn = Callable[[str, str], None]

_T5_TOKENS: Final = "max_sequence_length"
"""How many tokens a pipeline has its T5 encoder read, whatever its tokenizer says."""


def plain_prompts(
    prompt: PromptTexts,
    negative_prompt: PromptTexts,
    *,
    model: LoadedModel,
    parameters: Mapping[str, Any],
    guidance_scale: float,
    clip_skip: int,
    warn: Warn,
) -> Mapping[str, Any]:
    """What the pipeline is given for the prompts.

    A pipeline with a true guidance scale of its own beside the one its model was distilled with gets the scale as the
    former if the model has no place for the latter.

    Args:
        prompt, negative_prompt: with weights or without; only their text counts, and several are joined.
        parameters: of the pipeline's call, by name.
        clip_skip: last layers to leave out of the CLIP encoders, beside what the family leaves out.
        warn: told of `prompt_unused`, `negative_prompt_unused`, `clip_skip_unused`, `prompt_texts_joined` and
            `prompt_truncated`.

    Raises:
        EngineError: `invalid_params`: more clip skip than the encoders have layers.
    """
    text, negative = (parse_prompt(said.whole, said.syntax).text for said in (prompt, negative_prompt))
    if "prompt" not in parameters:
        _tell_no_prompt(text, negative, clip_skip, warn)
        return {}
    if max(len(prompt.texts), len(negative_prompt.texts)) > 1:
        warn("prompt_texts_joined", "prompt: this model reads one text: the lines and styles are joined with commas")
    given: dict[str, Any] = {"prompt": text}
    given |= _guidance(negative, model, parameters, guidance_scale, warn)
    if clip_skip:
        given |= _clip_skip(clip_skip, model, parameters, warn)
    limit = getattr(parameters.get(_T5_TOKENS), "default", None)
    if any(_is_too_long(said, model.components, limit) for said in (text, given.get("negative_prompt", ""))):
        warn("prompt_truncated", "prompt: it is longer than the text encoders of this model read; its end is left out")
    return given


def _tell_no_prompt(text: str, negative: str, clip_skip: int, warn: Warn) -> None:
    """Of a model that is told what to paint by something else."""
    if text:
        warn("prompt_unused", "prompt has no effect: the model takes none")
    if negative:
        warn("negative_prompt_unused", "negative_prompt has no effect: the model takes none")
    if clip_skip:
        warn("clip_skip_unused", "clip_skip has no effect: the model has no text encoder")


def _guidance(negative: str, model: LoadedModel, known: Collection[str], scale: float, warn: Warn) -> Mapping[str, Any]:
    is_true = "true_cfg_scale" in known
    if is_true and embeds_guidance(model):
        unused = "the model was distilled to be guided without one"
    elif scale <= 1:
        unused = "with a guidance scale of 1 or less"
    elif is_true:
        # Any, for without one there is no guidance.
        return {"negative_prompt": negative, "true_cfg_scale": scale}
    elif "negative_prompt" in known:
        return {"negative_prompt": negative} if negative else {}
    else:
        unused = "the model takes none"
    if negative:
        warn("negative_prompt_unused", f"negative_prompt has no effect: {unused}")
    return {"true_cfg_scale": 1.0} if is_true else {}


def _clip_skip(clip_skip: int, model: LoadedModel, known: Collection[str], warn: Warn) -> Mapping[str, Any]:
    layers = min(_clip_layers(model), default=0)
    if "clip_skip" not in known or not layers:
        warn("clip_skip_unused", "clip_skip has no effect: the model takes all layers of its text encoders")
        return {}
    # One is left out in any case, and one has to stay.
    most = max(0, layers - 2)
    if clip_skip > most:
        message = f"clip_skip: expected -1..{most} for this model, got {clip_skip}"
        raise EngineError(ErrorCode.INVALID_PARAMS, message)
    return {"clip_skip": clip_skip}


def _clip_layers(model: LoadedModel) -> Iterator[int]:
    for name, module in model.modules():
        if name.startswith("text_encoder") and type(module).__name__.startswith("CLIPText"):
            config: Any = module.config
            yield config.num_hidden_layers


def _is_too_long(text: str, components: Mapping[str, Any], t5_tokens: object) -> bool:
    """Whether no tokenizer of the model reads all of a text: what one encoder misses another may have read."""
    tokenizers = [part for name, part in components.items() if name.startswith("tokenizer") and part is not None]
    return bool(text and tokenizers) and all(_is_cut(text, tokenizer, t5_tokens) for tokenizer in tokenizers)


def _is_cut(text: str, tokenizer: Any, t5_tokens: object) -> bool:
    is_clip = type(tokenizer).__name__.startswith("CLIP")
    limit = tokenizer.model_max_length if is_clip or not isinstance(t5_tokens, int) else t5_tokens
    ids = tokenizer(text, truncation=False, verbose=False).input_ids
    return len(ids) > limit
