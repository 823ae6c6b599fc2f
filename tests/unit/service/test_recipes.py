"""Of `service.recipes`: files of other programs, as those write them."""

import io
import json
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from protocol.errors import ErrorCode, ProtocolError
from protocol.recipes.recipe import RecipeScheme
from service.recipes import read_recipe

TEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 7, Size: 64x32"
DOCUMENT = json.dumps({"metadata_scheme": "fooocus", "prompt": "a cat", "seed": "7", "base_model": "m"})


def saved(file_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, file_format, **options)
    return out.getvalue()


def png(text: str, *, key: str = "parameters") -> bytes:
    told = PngInfo()
    told.add_text(key, text)
    return saved("PNG", pnginfo=told)


def commented(comment: bytes | str, *, in_first: bool = False) -> Image.Exif:
    exif = Image.Exif()
    if in_first:
        exif[0x9286] = comment
    else:
        exif.get_ifd(0x8769)[0x9286] = comment
    return exif


def test_the_text_of_a_png_is_read() -> None:
    found = read_recipe(png(TEXT))
    assert found.scheme is RecipeScheme.A1111
    assert found.text == TEXT
    assert found.recipe is not None
    assert (found.recipe.prompt, found.recipe.negative_prompt, found.recipe.seed) == ("a cat", "dog", 7)


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\x00" + TEXT.encode("utf-16-be"),
        b"UNICODE\x00" + TEXT.encode("utf-16-le"),
        b"ASCII\x00\x00\x00" + TEXT.encode(),
        b"\x00" * 8 + TEXT.encode(),
        TEXT.encode(),
    ],
)
def test_a_user_comment_is_read_however_it_is_encoded(file_format: str, comment: bytes) -> None:
    assert read_recipe(saved(file_format, exif=commented(comment).tobytes())).text == TEXT


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_a_document_is_read_where_fooocus_puts_it(file_format: str) -> None:
    found = read_recipe(saved(file_format, exif=commented(DOCUMENT, in_first=True)))
    assert found.scheme is RecipeScheme.FOOOCUS
    assert found.recipe is not None
    assert (found.recipe.prompt, found.recipe.seed, found.recipe.model) == ("a cat", 7, "m")


@pytest.mark.parametrize("content", [saved("JPEG"), saved("PNG"), saved("BMP"), png("a cat", key="Comment")])
def test_a_picture_that_says_nothing_has_no_scheme(content: bytes) -> None:
    found = read_recipe(content)
    assert (found.scheme, found.text, found.recipe) == (None, None, None)


def test_a_text_in_other_words_is_given_as_it_is() -> None:
    found = read_recipe(png("just a cat"))
    assert (found.scheme, found.text, found.recipe) == (None, "just a cat", None)


def test_damaged_metadata_says_nothing() -> None:
    assert read_recipe(saved("WEBP", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")).text is None


@pytest.mark.parametrize("content", [b"", b"x" * 64, b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_recipe(content)
    assert caught.value.code is ErrorCode.BAD_IMAGE
    assert "at $.body" in caught.value.message
