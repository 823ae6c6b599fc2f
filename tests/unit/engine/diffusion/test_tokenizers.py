"""The tokenizer made from the carried merges gives CLIP's own numbers."""

from pathlib import Path

import pytest

from engine.diffusion.tokenizers import byte_letters, clip_tokenizer
from engine.interface import EngineError
from protocol.errors import ErrorCode


@pytest.mark.models
@pytest.mark.parametrize(("pads_with_zeros", "padding"), [(False, 49407), (True, 0)])
def test_a_known_prompt_has_its_known_tokens(models_dir: Path, pads_with_zeros: bool, padding: int) -> None:
    tokenizer = clip_tokenizer(models_dir, pads_with_zeros=pads_with_zeros)
    tokens = tokenizer("a photo of a cat", padding="max_length", truncation=True).input_ids
    assert tokens == [49406, 320, 1125, 539, 320, 2368, 49407, *[padding] * 70]


@pytest.mark.models
def test_the_vocabulary_is_whole(models_dir: Path) -> None:
    tokenizer = clip_tokenizer(models_dir, pads_with_zeros=False)
    assert len(tokenizer) == 49408
    assert tokenizer.decode(tokenizer("größe 東京").input_ids, skip_special_tokens=True).strip() == "größe 東京"


@pytest.mark.models
def test_tokens_added_for_one_model_are_not_added_for_another(models_dir: Path) -> None:
    one, other = (clip_tokenizer(models_dir, pads_with_zeros=False) for _ in range(2))
    one.add_tokens(["<mine>"])
    assert len(one) == 49409
    assert len(other) == 49408


def test_every_byte_has_a_letter_of_its_own() -> None:
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert letters[:2] == ["!", '"']


def test_without_the_merges_the_command_that_fetches_them_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="safelight models pull clip-bpe") as missing:
        clip_tokenizer(tmp_path, pads_with_zeros=False)
    assert missing.value.code is ErrorCode.MODEL_MISSING
