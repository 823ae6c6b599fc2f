"""Number formats of a training step."""

from typing import Any

import pytest
import torch

from training.spark.precision import autocast, quick_attention

CPU = torch.device("cpu")


def product(precision: str) -> torch.dtype:
    with autocast(CPU, precision):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_the_format_asked_for_is_used() -> None:
    assert product("fp32") == torch.float32
    assert product("bf16") == torch.bfloat16


@pytest.mark.parametrize(("present", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bf16_is_chosen_only_where_the_cpu_multiplies_it(
    present: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": present, "avx2": True})
    assert product("auto") == dtype


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, fp32 or bf16, got fp8"):
        autocast(CPU, "fp8")


def test_attention_is_as_before_when_a_training_is_over() -> None:
    enabled: Any = torch.backends.cuda.flash_sdp_enabled
    before = enabled()
    with quick_attention(CPU):
        assert not enabled()
    assert enabled() == before
