"""LoRAs named in a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.prompt_loras import take_out_loras


@pytest.mark.parametrize(
    ("prompt", "text", "named"),
    [
        ("a cat", "a cat", []),
        ("  a  cat ", "  a  cat ", []),
        ("a cat <lora:ink:0.8>", "a cat", [("ink", 0.8)]),
        ("<lora:ink>a <lora:my style v2.1:-1>cat", "a cat", [("ink", 1.0), ("my style v2.1", -1.0)]),
        ("a <lora:ink: .5 > cat", "a cat", [("ink", 0.5)]),
        ("a <lora:sub/ink:2> cat", "a cat", [("sub/ink", 2.0)]),
        ("(a cat <lora:ink:0.8>:1.2)", "(a cat :1.2)", [("ink", 0.8)]),
        ("a <lora::1> <lora:ink:much> <lora:ink", "a <lora::1> <lora:ink:much> <lora:ink", []),
    ],
)
def test_tags_are_taken_out_of_a_prompt(prompt: str, text: str, named: list[tuple[str, float]]) -> None:
    left, loras = take_out_loras(prompt)
    assert left == text
    assert [(lora.name, lora.weight) for lora in loras] == named


@given(st.text(alphabet="<>lora:i.5 -\n", max_size=60))
def test_no_text_is_an_error_and_none_is_left_to_take_out(prompt: str) -> None:
    text, loras = take_out_loras(prompt)
    assert loras or text == prompt
