"""Prompts of several texts, and weights in the syntax of Fooocus, on text encoders of the real kinds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.diffusion.encoded_prompt import weighted
from engine.diffusion.prompt_chunks import MAX_CHUNKS, Chunk
from engine.diffusion.prompt_embeds import PromptEmbeds
from engine.diffusion.prompt_weights import parse_prompt
from engine.diffusion.prompts import PromptEncoder
from engine.library.records import Family
from engine.prompting.texts import PromptTexts, separate_texts
from protocol.prompting import PromptSyntax
from tests import tiny_models

FAMILIES = (Family.SD1, Family.SDXL)
CHUNK = 77


@pytest.fixture(scope="module")
def components() -> dict[Family, dict[str, Any]]:
    made = {Family.SD1: tiny_models.make_sd1(), Family.SDXL: tiny_models.make_sdxl()}
    return {family: pipeline.components for family, pipeline in made.items()}


@pytest.fixture(params=FAMILIES)
def encoder(request: pytest.FixtureRequest, components: dict[Family, dict[str, Any]]) -> PromptEncoder:
    family = Family(request.param)
    return PromptEncoder(components[family], family)


def encoded(encoder: PromptEncoder, prompt: str | PromptTexts, negative: str | PromptTexts = "") -> PromptEmbeds:
    made = encoder.encode(prompt, negative, guidance=True)
    assert made is not None
    return made


def alone(encoder: PromptEncoder, text: str) -> PromptEmbeds:
    return encoded(encoder, text)


def fooocus(*texts: str, unpooled: Sequence[str] = ()) -> PromptTexts:
    return separate_texts(texts, unpooled=tuple(unpooled))


def test_texts_stand_one_behind_the_other_as_each_is_encoded_alone(encoder: PromptEncoder) -> None:
    made = encoded(encoder, fooocus("a cat", "in a hat", "at sea"))
    expected = [alone(encoder, text).prompt_embeds for text in ("a cat", "in a hat", "at sea")]
    assert torch.equal(made.prompt_embeds, torch.cat(expected, dim=1))
    assert made.prompt_embeds.shape[1] == 3 * CHUNK


def test_a_text_of_several_chunks_keeps_its_place(encoder: PromptEncoder) -> None:
    long = "a" * 100
    made = encoded(encoder, fooocus("x", long, "y"))
    expected = [alone(encoder, text).prompt_embeds for text in ("x", long, "y")]
    assert [each.shape[1] for each in expected] == [CHUNK, 2 * CHUNK, CHUNK]
    assert torch.equal(made.prompt_embeds, torch.cat(expected, dim=1))


def test_the_shorter_prompt_is_filled_with_empty_chunks(encoder: PromptEncoder) -> None:
    made = encoded(encoder, fooocus("a", "b", "c"), fooocus("x", "y"))
    expected = [alone(encoder, text).prompt_embeds for text in ("x", "y", "")]
    assert made.negative_prompt_embeds is not None
    assert torch.equal(made.negative_prompt_embeds, torch.cat(expected, dim=1))


def test_the_pooled_vector_is_the_sum_over_the_texts_without_the_words_of_quality(
    components: dict[Family, dict[str, Any]],
) -> None:
    encoder = PromptEncoder(components[Family.SDXL], Family.SDXL)
    made = encoded(encoder, fooocus("a cat", "in a hat", unpooled=["a cat, sharp"]), fooocus("bad", "worse"))
    pooled = {text: alone(encoder, text).pooled for text in ("a cat", "in a hat", "a cat, sharp", "bad", "worse")}
    torch.testing.assert_close(made.pooled, pooled["a cat"] + pooled["in a hat"])
    torch.testing.assert_close(made.negative_pooled, pooled["bad"] + pooled["worse"])
    assert made.pooled is not None
    assert not torch.allclose(made.pooled, sum(pooled[text] for text in ("a cat", "in a hat", "a cat, sharp")))
    assert made.prompt_embeds.shape[1] == 3 * CHUNK


def test_the_pooled_vector_of_a_long_text_is_that_of_its_first_chunk(
    components: dict[Family, dict[str, Any]],
) -> None:
    encoder = PromptEncoder(components[Family.SDXL], Family.SDXL)
    long = "a" * 75 + " " + "b" * 20
    made = encoded(encoder, fooocus(long, "y"))
    torch.testing.assert_close(made.pooled, alone(encoder, "a" * 75).pooled + alone(encoder, "y").pooled)


def test_an_empty_negative_prompt_is_encoded_and_not_zeros(components: dict[Family, dict[str, Any]]) -> None:
    encoder = PromptEncoder(components[Family.SDXL], Family.SDXL)
    made = encoded(encoder, fooocus("a"), fooocus())
    assert made.negative_prompt_embeds is not None
    assert made.negative_prompt_embeds.any()


def test_more_texts_than_chunks_are_cut_and_told(encoder: PromptEncoder) -> None:
    told: list[str] = []
    texts = fooocus(*(f"x{number}" for number in range(MAX_CHUNKS - 1)), "a" * 75 + " b", "never")
    made = encoder.encode(texts, guidance=False, warn=lambda code, _message: told.append(code))
    assert made is not None
    assert made.prompt_embeds.shape[1] == MAX_CHUNKS * CHUNK
    assert torch.equal(made.prompt_embeds[:, -CHUNK:], alone(encoder, "a" * 75).prompt_embeds)
    assert told == ["prompt_truncated"]


@pytest.mark.parametrize("weight", [1.3, 0.5])
def test_a_weight_moves_tokens_from_the_empty_prompt_and_each_encoder_keeps_its_mean(
    components: dict[Family, dict[str, Any]], weight: float
) -> None:
    encoder = PromptEncoder(components[Family.SDXL], Family.SDXL)
    width = components[Family.SDXL]["text_encoder"].config.hidden_size
    plain, empty = alone(encoder, "a b c").prompt_embeds, alone(encoder, "").prompt_embeds
    made = encoded(encoder, fooocus(f"a (b:{weight}) c")).prompt_embeds
    weights = torch.ones(CHUNK)
    weights[2] = weight  # start, a, b
    moved = empty + weights[None, :, None] * (plain - empty)
    for part in (slice(None, width), slice(width, None)):
        factor = plain[..., part].mean() / moved[..., part].mean()
        torch.testing.assert_close(made[..., part], moved[..., part] * factor)
        torch.testing.assert_close(made[..., part].mean(), plain[..., part].mean())
    assert not torch.allclose(made, encoded(encoder, f"a (b:{weight}) c").prompt_embeds)


def test_unweighted_texts_are_the_same_in_both_syntaxes(encoder: PromptEncoder) -> None:
    assert torch.equal(encoded(encoder, fooocus("a cat")).prompt_embeds, alone(encoder, "a cat").prompt_embeds)


def test_square_brackets_and_break_are_text(encoder: PromptEncoder) -> None:
    made = encoded(encoder, fooocus("a [b] BREAK c")).prompt_embeds
    assert torch.equal(made, alone(encoder, r"a \[b\] break c").prompt_embeds)
    assert made.shape[1] == CHUNK


def test_an_embedding_is_named_with_its_prefix_only(encoder: PromptEncoder) -> None:
    told: list[str] = []
    warn = lambda code, _message: told.append(code)  # noqa: E731 - a name makes the calls below readable
    offered = {"ink": Path("ink.pt")}
    bare = encoder.encode(fooocus("an ink cat"), guidance=False, embeddings=offered, warn=warn)
    assert bare is not None
    assert torch.equal(bare.prompt_embeds, alone(encoder, "an ink cat").prompt_embeds)
    encoder.encode(fooocus("embedding:none cat"), guidance=False, embeddings=offered, warn=warn)
    assert told == ["embedding_missing"]


def weighed(prompt: str) -> list[tuple[str, float]]:
    (chunk,) = parse_prompt(prompt, PromptSyntax.FOOOCUS).chunks
    return [(piece.text, pytest.approx(piece.weight)) for piece in chunk]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("((b))", [("b", 1.21)]),
        ("(b:1.3)", [("b", 1.3)]),
        ("(a (b:1.3):0.5)", [("a ", 0.5), ("b", 1.3)]),
        ("((b:1.3))", [("b", 1.3)]),
        (r"\(b\) [c] \[d", [(r"(b) [c] \[d", 1.0)]),
        ("([)", [("[", 1.1)]),
        ("(a]) [b", [("a]", 1.1), (" [b", 1.0)]),
        ("[a:b:0.5] AND [c|d] BREAK e", [("[a:b:0.5] AND [c|d] BREAK e", 1.0)]),
        ("(b", [("(b", 1.0)]),
    ],
)
def test_weights_are_read_as_users_of_fooocus_type_them(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert weighed(prompt) == expected
    assert parse_prompt(prompt, PromptSyntax.FOOOCUS).ignored == ()


@pytest.mark.parametrize("left", [0.0, 1e-7])
def test_a_mean_that_has_become_nothing_is_left_so(left: float) -> None:
    states, empty = torch.tensor([[[1.0 + left], [1.0]]]), torch.zeros(1, 2, 1)
    chunk = Chunk(ids=(0, 1), weights=(1.0, -1.0), used=2)
    moved: Tensor = weighted(states, empty, chunk, keeps_mean=True)
    torch.testing.assert_close(moved.flatten(), torch.tensor([1.0, -1.0]))
