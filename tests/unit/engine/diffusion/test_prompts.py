"""Prompts encoded for stock pipelines, beside what diffusers itself makes of them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CLIPTextModel

from engine.diffusion.prompts import PromptEncoder
from engine.interface import EngineError
from engine.library.records import Family
from protocol.errors import ErrorCode
from tests import tiny_models

MAKERS: dict[Family, Callable[[], Any]] = {
    Family.SD1: tiny_models.make_sd1,
    Family.SD2: tiny_models.make_sd2,
    Family.SDXL: tiny_models.make_sdxl,
    Family.SDXL_REFINER: tiny_models.make_sdxl_refiner,
    Family.FLUX: tiny_models.make_flux,
    Family.SD3: tiny_models.make_sd3,
}
CLIP_FAMILIES = (Family.SD1, Family.SD2, Family.SDXL, Family.SDXL_REFINER)
_LAYER = "CLIPEncoderLayer"
CHUNK = 75
"""Letters in a chunk of text: the tiny tokenizer has one token for each, none for blanks."""


@pytest.fixture(scope="module")
def pipelines() -> dict[Family, Any]:
    return {family: make() for family, make in MAKERS.items()}


@pytest.fixture(params=CLIP_FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return Family(request.param)


@pytest.fixture
def encoder(pipelines: dict[Family, Any], family: Family) -> PromptEncoder:
    return PromptEncoder(pipelines[family].components, family)


def stock(pipeline: Any, prompt: str, negative_prompt: str | None, *, guidance: bool = True, **more: Any) -> list[Any]:
    """What diffusers gives: embeds, negative embeds, and pooled ones or None."""
    given = pipeline.encode_prompt(
        prompt=prompt,
        negative_prompt=negative_prompt,
        device=torch.device("cpu"),
        num_images_per_prompt=1,
        do_classifier_free_guidance=guidance,
        **more,
    )
    return [*given, None, None][:4]


def ours(encoder: PromptEncoder, *args: Any, **more: Any) -> list[Tensor | None]:
    made = encoder.encode(*args, **{"guidance": True, **more})
    assert made is not None
    return [made.prompt_embeds, made.negative_prompt_embeds, made.pooled, made.negative_pooled]


def are_equal(one: list[Any], other: list[Any]) -> bool:
    """Bit for bit."""
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in zip(one, other, strict=True))


@contextmanager
def counted(module: torch.nn.Module) -> Iterator[list[Tensor]]:
    """The input ids of every forward of a module."""
    calls: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _module, args: calls.append(args[0]))
    try:
        yield calls
    finally:
        handle.remove()


@pytest.mark.parametrize("prompt", ["a cat", "", "Ünïcode, it's 3 o'clock!", "a" * CHUNK])
@pytest.mark.parametrize("negative_prompt", ["ugly, blurry", "", None])
def test_short_prompts_equal_what_diffusers_encodes(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder, prompt: str, negative_prompt: str | None
) -> None:
    expected = stock(pipelines[family], prompt, negative_prompt)
    assert are_equal(ours(encoder, prompt, negative_prompt), expected)


def test_weights_of_one_equal_what_diffusers_encodes(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    expected = stock(pipelines[family], "a (red) cat [x]", "no dog")
    assert are_equal(ours(encoder, r"(a :1.0)\(red\) cat \[x\]", "(no dog:1)"), expected)


def test_without_guidance_there_is_nothing_negative(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    made = encoder.encode("a cat", "a dog", guidance=False)
    assert made is not None
    assert made.negative_prompt_embeds is None
    assert made.negative_pooled is None
    expected = stock(pipelines[family], "a cat", None, guidance=False)
    assert torch.equal(made.prompt_embeds, expected[0])
    assert set(made.as_kwargs()) == {"prompt_embeds"} | (set() if expected[2] is None else {"pooled_prompt_embeds"})


def test_sdxl_zeroes_a_negative_prompt_that_is_missing_unless_told_otherwise(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SDXL].components
    zeroed = ours(PromptEncoder(components, Family.SDXL), "a cat", None)
    assert zeroed[1] is not None
    assert not zeroed[1].any()
    encoded = ours(PromptEncoder(components, Family.SDXL, zeroes_missing_negative=False), "a cat", None)
    assert are_equal(encoded, ours(PromptEncoder(components, Family.SDXL), "a cat", ""))
    assert encoded[1] is not None
    assert encoded[1].any()


@pytest.mark.parametrize("clip_skip", [0, 1])
def test_clip_skip_equals_what_diffusers_skips_on_sd1(
    pipelines: dict[Family, Any], monkeypatch: pytest.MonkeyPatch, clip_skip: int
) -> None:
    # diffusers 0.42 looks for the norm where transformers had it before version 5.
    monkeypatch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)
    pipeline = pipelines[Family.SD1]
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    made = ours(encoder, "a cat", "a dog", clip_skip=clip_skip)
    assert are_equal(made[:1], stock(pipeline, "a cat", None, clip_skip=clip_skip)[:1])
    # Unlike there, it holds for the negative prompt as well.
    assert are_equal(made[1:2], stock(pipeline, "a dog", None, clip_skip=clip_skip)[:1])


def test_clip_skip_equals_what_diffusers_skips_on_sdxl_and_changes_the_prompt(pipelines: dict[Family, Any]) -> None:
    with tiny_models.seeded(5):
        first = tiny_models.make_text_encoder(layers=4)
    pipeline = copy.copy(pipelines[Family.SDXL])
    components = {**pipeline.components, "text_encoder": first}
    encoder = PromptEncoder(components, Family.SDXL)
    pipeline = type(pipeline)(**components, add_watermarker=False)
    made = {skip: ours(encoder, "a cat", None, clip_skip=skip) for skip in (-1, 0, 1, 2)}
    for skip, encoded in made.items():
        assert are_equal(encoded, stock(pipeline, "a cat", None, clip_skip=skip))
    assert not torch.equal(made[0][0], made[1][0])  # type: ignore[arg-type] # encoded, so not None
    assert not torch.equal(made[0][0], made[-1][0])  # type: ignore[arg-type] # encoded, so not None
    assert torch.equal(made[0][2], made[1][2])  # type: ignore[arg-type] # the same


def test_the_last_layer_is_taken_without_the_final_norm(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SDXL].components
    seen: list[Tensor] = []
    layers = [module for _, module in components["text_encoder"].named_modules() if type(module).__name__ == _LAYER]
    handle = layers[-1].register_forward_hook(lambda _layer, _given, made: seen.append(made))
    try:
        made = ours(PromptEncoder(components, Family.SDXL), "a cat", "", clip_skip=-1)
    finally:
        handle.remove()
    assert made[0] is not None
    assert torch.equal(made[0][..., : seen[0].shape[-1]], seen[0])


def test_a_model_that_takes_its_last_layer_anyway_says_so(pipelines: dict[Family, Any]) -> None:
    encoder = PromptEncoder(pipelines[Family.SD1].components, Family.SD1)
    told: list[str] = []
    made = ours(encoder, "a cat", "", clip_skip=-1, warn=lambda code, _: told.append(code))
    assert told == ["clip_skip_unused"]
    assert are_equal(made, ours(encoder, "a cat", ""))


@pytest.mark.parametrize("clip_skip", [-2, 2, 100])
def test_more_clip_skip_than_layers_is_refused(pipelines: dict[Family, Any], clip_skip: int) -> None:
    encoder = PromptEncoder(pipelines[Family.SD1].components, Family.SD1)
    assert encoder.max_clip_skip == 1
    with pytest.raises(EngineError, match=rf"clip_skip: expected 0\.\.1 for this model, got {clip_skip}") as caught:
        encoder.encode("a cat", guidance=True, clip_skip=clip_skip)
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_long_prompt_is_its_chunks_one_after_the_other(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    made = ours(encoder, "a" * CHUNK + " " + "b" * CHUNK + " c", "a dog")
    parts = [stock(pipelines[family], text, "") for text in ("a" * CHUNK, "b" * CHUNK, "c")]
    assert torch.equal(made[0], torch.cat([part[0] for part in parts], dim=1))
    negative = [stock(pipelines[family], text, "") for text in ("a dog", "", "")]
    assert torch.equal(made[1], torch.cat([part[0] for part in negative], dim=1))
    assert are_equal(made[2:], [parts[0][2], negative[0][2]])


def test_longer_negative_prompt_pads_the_prompt_with_empty_chunks(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    made = ours(encoder, "a cat", "a BREAK b")
    expected = [stock(pipelines[family], text, "")[0] for text in ("a cat", "")]
    assert torch.equal(made[0], torch.cat(expected, dim=1))
    assert made[1] is not None
    assert made[1].shape == made[0].shape  # type: ignore[union-attr] # encoded, so not None


def test_break_begins_a_chunk(pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder) -> None:
    made = ours(encoder, "a cat BREAK a dog", "")
    expected = [stock(pipelines[family], text, "")[0] for text in ("a cat", "a dog")]
    assert torch.equal(made[0], torch.cat(expected, dim=1))


def test_word_that_no_longer_fits_goes_whole_into_the_next_chunk(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    made = ours(encoder, "a" * 70 + " elephant", "")
    expected = [stock(pipelines[family], text, "")[0] for text in ("a" * 70, "elephant")]
    assert torch.equal(made[0], torch.cat(expected, dim=1))


def test_word_longer_than_a_chunk_is_cut(pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder) -> None:
    with counted(pipelines[family].components["text_encoder_2" if "xl" in family else "text_encoder"]) as calls:
        made = ours(encoder, "x " + "a" * 100, guidance=False)
    assert made[0].shape[1] == 3 * 77  # type: ignore[union-attr] # encoded, so not None
    assert [int((ids == ids[0, 5]).sum()) for ids in calls[1:]] == [75, 24]


def test_weight_moves_a_token_away_from_the_empty_prompt(pipelines: dict[Family, Any], encoder: PromptEncoder) -> None:
    def states(prompt: str) -> Tensor:
        made = encoder.encode(prompt, guidance=False)
        assert made is not None
        return made.prompt_embeds

    plain, empty, weighted = states("a b c"), states(""), states("a (b:1.5) c")
    assert torch.equal(weighted[:, [0, 1, 3, 4, 76]], plain[:, [0, 1, 3, 4, 76]])
    torch.testing.assert_close(weighted[:, 2], empty[:, 2] + 1.5 * (plain[:, 2] - empty[:, 2]))
    assert not torch.equal(weighted[:, 2], plain[:, 2])
    torch.testing.assert_close(states("(a b c:0)")[:, :4], empty[:, :4])
    second = states("x BREAK a (b:1.5) c")[:, 77:]
    assert torch.equal(second, weighted)


def test_weights_leave_the_pooled_output_alone(pipelines: dict[Family, Any]) -> None:
    encoder = PromptEncoder(pipelines[Family.SDXL].components, Family.SDXL)
    assert torch.equal(ours(encoder, "a (b:1.5)")[2], ours(encoder, "a b")[2])  # type: ignore[arg-type]


def test_text_encoder_with_a_shorter_sequence_gets_shorter_chunks(pipelines: dict[Family, Any]) -> None:
    pipeline = pipelines[Family.SD1]
    tokenizer = copy.deepcopy(pipeline.tokenizer)
    tokenizer.model_max_length = 22
    encoder = PromptEncoder({**pipeline.components, "tokenizer": tokenizer}, Family.SD1)
    shorter = type(pipeline)(**{**pipeline.components, "tokenizer": tokenizer}, requires_safety_checker=False)
    assert are_equal(ours(encoder, "a cat", "x"), stock(shorter, "a cat", "x"))
    assert ours(encoder, "a" * 20 + " b")[0].shape[1] == 44  # type: ignore[union-attr] # encoded, so not None


def test_attention_mask_is_given_where_the_configuration_asks_for_one() -> None:
    pipeline = tiny_models.make_sd1()
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    plain = ours(encoder, "a cat", "x")
    pipeline.text_encoder.config.use_attention_mask = True
    masked = ours(PromptEncoder(pipeline.components, Family.SD1), "a cat", "x")
    assert are_equal(masked, stock(pipeline, "a cat", "x"))
    assert not are_equal(masked, plain)


def test_prompt_without_end_is_cut_and_said_to_be(pipelines: dict[Family, Any]) -> None:
    said: list[str] = []
    encoder = PromptEncoder(pipelines[Family.SD1].components, Family.SD1)
    for _ in range(2):  # encoded, then remembered
        made = encoder.encode("word " * 1000, guidance=False, warn=lambda code, _message: said.append(code))
        assert made is not None
        assert made.prompt_embeds.shape[1] == 32 * 77
    assert said == ["prompt_truncated", "prompt_truncated"]


def test_syntax_without_effect_is_said(pipelines: dict[Family, Any]) -> None:
    said: list[tuple[str, str]] = []
    encoder = PromptEncoder(pipelines[Family.SD1].components, Family.SD1)
    encoder.encode("[a:b:0.5]", "x AND y", guidance=True, warn=lambda *heard: said.append(heard))
    assert [code for code, _ in said] == ["prompt_syntax_ignored", "prompt_syntax_ignored"]
    assert "[a:b:0.5]" in said[0][1]
    assert "AND" in said[1][1]


@pytest.mark.parametrize("other", [Family.FLUX, Family.SD3, Family.OTHER])
def test_other_families_encode_for_themselves_and_hear_that_weights_have_no_effect(
    pipelines: dict[Family, Any], other: Family
) -> None:
    said: list[str] = []
    encoder = PromptEncoder(pipelines.get(other, pipelines[Family.FLUX]).components, other)
    assert encoder.max_clip_skip == 0
    assert encoder.encode("a cat", guidance=True, warn=lambda code, _: said.append(code)) is None
    assert said == []
    assert encoder.encode("a (cat) [x|y]", "(no)", guidance=True, warn=lambda code, _: said.append(code)) is None
    assert said == ["prompt_syntax_ignored", "prompt_weights_ignored", "prompt_weights_ignored"]


def test_repeated_prompts_cost_no_forward(pipelines: dict[Family, Any], family: Family) -> None:
    components = pipelines[family].components
    encoder = PromptEncoder(components, family)
    module = components["text_encoder_2" if "xl" in family else "text_encoder"]
    with counted(module) as calls:
        first = ours(encoder, "a (cat)", "ugly")
        assert len(calls) == 3  # the prompt, the empty one its weights need, the negative one
        assert are_equal(ours(encoder, "a (cat)", "ugly"), first)
        assert len(calls) == 3
        ours(encoder, "a (cat)", "other")
        assert len(calls) == 4
        encoder.clear()
        ours(encoder, "a (cat)", "ugly")
        assert len(calls) == 7


def test_what_matters_is_not_mixed_up(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SD1].components
    encoder = PromptEncoder(components, Family.SD1)
    with counted(components["text_encoder"]) as calls:
        for number, more in enumerate([{}, {"clip_skip": 1}, {"state": ("lora", 0.5)}, {"state": ("lora", 0.6)}], 1):
            ours(encoder, "a cat", guidance=False, **more)
            ours(encoder, "a cat", guidance=False, **more)
            assert len(calls) == number
        ours(encoder, "(a cat:1.2)", guidance=False)
        assert len(calls) == 6  # with the empty one
        assert not torch.equal(ours(encoder, "a cat")[0], ours(encoder, "(a cat:1.2)")[0])  # type: ignore[arg-type]


def test_result_follows_the_weights_of_another_state() -> None:
    pipeline = tiny_models.make_sd1()
    encoder = PromptEncoder(pipeline.components, Family.SD1)
    before = ours(encoder, "a cat")
    for weight in pipeline.text_encoder.parameters():
        weight.mul_(1.01)
    assert are_equal(ours(encoder, "a cat"), before)
    assert not are_equal(ours(encoder, "a cat", state="changed"), before)


def test_memory_of_prompts_is_bounded_in_number_and_bytes(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SD1].components
    entry = 77 * tiny_models.HIDDEN * 4
    few = PromptEncoder(components, Family.SD1, max_prompts=3)
    small = PromptEncoder(components, Family.SD1, max_bytes=2 * entry)
    for number in range(8):
        ours(few, f"cat {number}", guidance=False)
        ours(small, f"cat {number}", guidance=False)
    assert few.size_bytes == 3 * entry
    assert small.size_bytes == 2 * entry
    with counted(components["text_encoder"]) as calls:
        ours(few, "cat 5", guidance=False)
        ours(small, "cat 6", guidance=False)
        assert calls == []
        ours(few, "cat 4", guidance=False)
        ours(small, "cat 5", guidance=False)
        assert len(calls) == 2


def test_prompt_used_last_is_remembered_longest(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SD1].components
    encoder = PromptEncoder(components, Family.SD1, max_prompts=2)
    for prompt in ("cat", "dog", "cat", "cow"):
        ours(encoder, prompt, guidance=False)
    with counted(components["text_encoder"]) as calls:
        ours(encoder, "cat", guidance=False)
        assert calls == []
        ours(encoder, "dog", guidance=False)
        assert len(calls) == 1


def test_one_encoder_has_no_zeroed_negative_prompt(pipelines: dict[Family, Any]) -> None:
    components = pipelines[Family.SD1].components
    told = PromptEncoder(components, Family.SD1, zeroes_missing_negative=True)
    assert are_equal(ours(told, "a cat", None), stock(pipelines[Family.SD1], "a cat", None))


def test_gradients_are_never_kept() -> None:
    pipeline = tiny_models.make_sdxl()
    for module in (pipeline.text_encoder, pipeline.text_encoder_2):
        module.requires_grad_(requires_grad=True)
    encoder = PromptEncoder(pipeline.components, Family.SDXL)
    with torch.enable_grad():
        made = ours(encoder, "a cat", "x")
    assert all(tensor is not None and not tensor.requires_grad for tensor in made)


def test_pipeline_given_the_embeds_makes_the_picture_it_makes_of_the_prompt(
    pipelines: dict[Family, Any], family: Family, encoder: PromptEncoder
) -> None:
    pipeline = pipelines[family]
    pipeline.set_progress_bar_config(disable=True)

    def picture(**prompts: Any) -> Tensor:
        start = {"height": 64, "width": 64}
        if family is Family.SDXL_REFINER:
            start = {"image": torch.zeros(1, 3, 64, 64), "strength": 0.9}
        more = {"num_inference_steps": 3, "output_type": "latent", "generator": torch.Generator().manual_seed(3)}
        latents: Tensor = pipeline(**prompts, **start, **more).images
        return latents

    made = encoder.encode("a cat", "ugly", guidance=True)
    assert made is not None
    assert torch.equal(picture(**made.as_kwargs()), picture(prompt="a cat", negative_prompt="ugly"))
