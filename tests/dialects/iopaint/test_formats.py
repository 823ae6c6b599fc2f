"""Pictures of every kind IOPaint's clients may send, beside those that were recorded."""

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.dialects.golden import rgb

PHOTO = Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 60).convert("RGB")


def encoded(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def blot() -> str:
    mask = Image.new("L", PHOTO.size, 0)
    mask.paste(255, (20, 10, 40, 30))
    return encoded(mask, "PNG")


@pytest.mark.parametrize(
    ("image", "answered"),
    [
        (encoded(PHOTO, "ICO", sizes=[PHOTO.size]), "image/jpeg"),
        (encoded(PHOTO, "JPEG2000", irreversible=False), "image/jpeg"),
        (encoded(PHOTO, "TGA"), "image/jpeg"),
        (encoded(PHOTO, "TIFF", compression="tiff_lzw"), "image/tiff"),
        (encoded(PHOTO.convert("L"), "PNG"), "image/png"),
        (encoded(PHOTO.convert("1"), "PNG"), "image/png"),
        (encoded(PHOTO.convert("L"), "PPM"), "image/ppm"),
        (encoded(PHOTO.convert("P"), "GIF"), "image/gif"),
        (encoded(PHOTO, "JPEG", progressive=True, quality=95), "image/jpeg"),
        (encoded(PHOTO, "WEBP", lossless=True), "image/webp"),
        (encoded(PHOTO, "BMP"), "image/bmp"),
    ],
    ids=["ico", "jpeg2000", "tga", "tiff-lzw", "grey", "one-bit", "pgm", "gif", "progressive", "webp", "bmp"],
)
def test_a_picture_comes_back_in_its_format_with_what_is_not_masked_as_it_was(
    client: httpx.Client, image: str, answered: str
) -> None:
    answer = client.post("/api/v1/inpaint", json={"image": image, "mask": blot()})
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered), answer.text[:300]
    before, after = rgb(base64.b64decode(image)), rgb(answer.content)
    outside = np.ones(before.shape[:2], np.bool_)
    outside[10:30, 20:40] = False
    is_lossy = answered in {"image/jpeg", "image/gif", "image/webp"}
    assert np.abs(before - after)[outside].mean() <= (6 if is_lossy else 0)
    assert after.shape == before.shape


def test_a_resolution_is_kept(client: httpx.Client) -> None:
    sent = {"image": encoded(PHOTO, "PNG", dpi=(300, 300)), "mask": blot()}
    with Image.open(io.BytesIO(client.post("/api/v1/inpaint", json=sent).content)) as made:
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_coloured_brush_of_the_page_counts_as_masked_and_plain_red_does_not(client: httpx.Client) -> None:
    def masked(colour: tuple[int, int, int, int]) -> str:
        layer = Image.new("RGBA", PHOTO.size, (0, 0, 0, 0))
        layer.paste(colour, (20, 10, 40, 30))
        return encoded(layer, "PNG")

    image = encoded(PHOTO, "PNG")
    changed = []
    for colour in ((255, 204, 0, 187), (255, 0, 0, 255)):
        answer = client.post("/api/v1/inpaint", json={"image": image, "mask": masked(colour)})
        changed.append(bool((rgb(answer.content) != rgb(base64.b64decode(image))).any()))
    assert changed == [True, False]
