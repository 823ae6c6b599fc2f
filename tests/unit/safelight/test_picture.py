import base64
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from safelight.address import Address
from safelight.errors import PictureUnreadable
from safelight.picture import INLINE_BYTES, PictureFile, load, media_type, send
from safelight.rest import Rest

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Output:
    reference = "job:1/0"


@pytest.mark.parametrize(
    "reference",
    ["https://example.org/a.png", "data:image/png;base64,AAAA", "upload:1", "job:1/0", base64.b64encode(PNG).decode()],
)
async def test_a_reference_goes_as_it_is(reference: str) -> None:
    assert await load(reference) == reference


async def test_an_output_goes_as_a_reference() -> None:
    assert await load(Output()) == "job:1/0"


async def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PNG)
    for given in (path, str(path)):
        assert await load(given) == PictureFile(path, "photo.jpg", "image/png", len(PNG))


async def test_a_pillow_image_is_sent_as_png() -> None:
    picture = await load(Image.new("RGBA", (3, 2), (1, 2, 3, 4)))
    assert isinstance(picture, PictureFile)
    assert isinstance(picture.content, bytes)
    with Image.open(io.BytesIO(picture.content)) as back:
        assert (back.format, back.size, back.getpixel((0, 0))) == ("PNG", (3, 2), (1, 2, 3, 4))


@pytest.mark.parametrize("wrong", ["nothing-here.png", 7, 1.5, [1]])
async def test_what_is_no_picture_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(PictureUnreadable):
        await load(wrong)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(PictureUnreadable, match="empty"):
        await load(path)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", "application/octet-stream"),
        (b"GIF89a", "image/gif"),
        (b"MM\x00*", "image/tiff"),
    ],
)
def test_pictures_are_known_by_how_they_begin(start: bytes, kind: str) -> None:
    assert media_type(start) == kind


def test_a_name_tells_where_the_content_does_not() -> None:
    assert media_type(b"????", "a.avif") == "image/avif"


async def test_a_small_picture_travels_inside_the_request() -> None:
    rest = Rest(Address("http://127.0.0.1:9"))
    url = await send(rest, PictureFile(PNG, "p", "image/png", len(PNG)))
    assert url == "data:image/png;base64," + base64.b64encode(PNG).decode()
    await rest.aclose()


async def test_a_large_picture_is_streamed_to_the_server_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "große Datei.png"
    content = PNG + bytes(INLINE_BYTES)
    path.write_bytes(content)
    seen: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        assert await request.aread() == content
        return httpx.Response(201, json={"id": "7", "ref": "upload:7"})

    rest = Rest(Address("http://127.0.0.1:9"), "key", transport=httpx.MockTransport(answer))
    picture = await load(path)
    assert isinstance(picture, PictureFile)
    assert await send(rest, picture) == "upload:7"
    assert seen[0].headers["content-length"] == str(len(content))
    assert seen[0].headers["content-type"] == "image/png"
    assert seen[0].url.params["name"] == path.name
    await rest.aclose()
