"""Of `service.dialects.iopaint.pictures`."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.iopaint.errors import Refused
from service.dialects.iopaint.pictures import BRUSH, Size, decode_picture, painted, size_of

CONTENT = bytes(range(200))
TEXT = base64.b64encode(CONTENT).decode()
LIMIT = 1000


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"data:image/png;base64,{TEXT}",
        f"data:image/svg+xml;charset=utf-8;base64,{TEXT}",
        f"data:application/octet-stream;base64,{TEXT}",
        "\r\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76)),
        f" {TEXT[:50]}*{TEXT[50:]}\n",
    ],
    ids=["plain", "data-url", "with-parameters", "octet-stream", "lines", "foreign-characters"],
)
def test_every_way_the_original_reads_gives_the_same_file(text: str) -> None:
    assert decode_picture(text, "image", LIMIT) == CONTENT


@pytest.mark.parametrize(
    "text",
    [None, "", "@@@@", "AAAAA", "data:image/png,AAAA", "data:text/plain;base64,AAAA", "http://127.0.0.1/a.png"],
)
def test_what_is_no_base64_is_refused_by_its_name(text: str | None) -> None:
    with pytest.raises(Refused, match="mask: ") as caught:
        decode_picture(text, "mask", LIMIT)
    assert caught.value.status == 400


def test_a_text_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_picture("!" * 2 * LIMIT, "image", LIMIT)
    assert caught.value.code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(("orientation", "size"), [(1, Size(40, 30)), (6, Size(30, 40))])
def test_the_size_is_that_of_the_upright_picture(orientation: int, size: Size) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "JPEG", exif=exif)
    assert size_of(buffer.getvalue(), "image") == size


@pytest.mark.parametrize("content", [b"not a picture", b"\x89PNG\r\n\x1a\n", b""])
def test_no_size_can_be_told_of_what_is_no_picture(content: bytes) -> None:
    with pytest.raises(Refused, match="image: "):
        size_of(content, "image")


def test_a_mask_is_painted_from_its_middle_up(tmp_path: Path) -> None:
    grey = Image.new("L", (3, 1))
    grey.putdata([0, 127, 128])
    grey.save(tmp_path / "mask.png")
    with Image.open(io.BytesIO(painted(tmp_path / "mask.png"))) as layer:
        assert [layer.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0, 0), (0, 0, 0, 0), BRUSH]
