"""Of `service.dialects.picture_size`."""

import io

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from service.dialects.picture_size import Size, size_of


@pytest.mark.parametrize(("orientation", "size"), [(1, Size(40, 30)), (6, Size(30, 40))])
def test_the_size_is_that_of_the_upright_picture(orientation: int, size: Size) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "JPEG", exif=exif)
    assert size_of(buffer.getvalue(), "image") == size


@pytest.mark.parametrize("content", [b"not a picture", b"\x89PNG\r\n\x1a\n", b""])
def test_no_size_can_be_told_of_what_is_no_picture(content: bytes) -> None:
    with pytest.raises(ProtocolError, match="image: ") as caught:
        size_of(content, "image")
    assert caught.value.code is ErrorCode.BAD_IMAGE
