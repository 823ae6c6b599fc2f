"""Of `service.dialects.iopaint.gen_info`."""

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.dialects.iopaint.gen_info import GenInfo, gen_info, split
from service.dialects.refusal import Refused


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a cat\nNegative prompt: dog, rat\nSteps: 20", GenInfo("a cat", "dog, rat")),
        ("a cat\nSteps: 20", GenInfo("a cat\nSteps: 20", "")),
        ("Negative prompt: dog", GenInfo("", "dog")),
        ("", GenInfo("", "")),
    ],
)
def test_the_text_is_parted_as_the_original_does(text: str, found: GenInfo) -> None:
    assert split(text) == found


def test_only_the_text_called_parameters_counts() -> None:
    told = PngInfo()
    told.add_text("Comment", "a dog")
    told.add_text("parameters", "a cat")
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=told)
    assert gen_info(buffer.getvalue()) == GenInfo("a cat", "")


def test_a_picture_without_prompts_has_none() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG")
    assert gen_info(buffer.getvalue()) == GenInfo("", "")


@pytest.mark.parametrize("content", [b"", b"xxxx", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as caught:
        gen_info(content)
    assert caught.value.status == 400
