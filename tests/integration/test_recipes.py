"""`/v1/recipes` on a running server."""

import io

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def picture() -> bytes:
    told, out = PngInfo(), io.BytesIO()
    told.add_text("parameters", "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 64x32")
    Image.new("RGB", (4, 4)).save(out, "PNG", pnginfo=told)
    return out.getvalue()


def test_what_a_picture_was_made_with_is_read_from_its_file(http: httpx.Client) -> None:
    answer = http.post("/v1/recipes", content=picture())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["scheme"] == "a1111"
    assert found["recipe"]["scheduler"] == "euler_ancestral"
    assert found["recipe"]["seed"] == 7


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_no_picture_is_refused(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/v1/recipes", content=content)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "bad_image"
