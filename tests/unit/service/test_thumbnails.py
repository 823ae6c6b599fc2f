"""What is kept of thumbnails, and for how long. On real files of a temporary folder."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from service import thumbnails as thumbnails_module
from service.thumbnails import Thumbnails, Wanted

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.linear_gradient("L").convert("RGB").resize((200, 100)).save(tmp_path / "0.png")
    return tmp_path / "0.png"


def wanted(job_id: str = "a", index: int = 0, media_type: str = "image/webp", max_side_px: int = 50) -> Wanted:
    return Wanted(job_id, index, media_type, max_side_px)


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


async def test_it_keeps_its_shape_and_is_never_larger_than_the_picture(path: Path) -> None:
    made = Thumbnails()
    assert size_of(await made.get(wanted(max_side_px=50), path)) == (50, 25)
    assert size_of(await made.get(wanted(max_side_px=2048), path)) == (200, 100)


async def test_one_that_was_made_is_not_made_again(path: Path) -> None:
    made = Thumbnails()
    first = await made.get(wanted(), path)
    path.unlink()
    assert await made.get(wanted(), path) == first
    with pytest.raises(FileNotFoundError):
        await made.get(wanted(max_side_px=51), path)


async def test_what_was_not_asked_for_longest_makes_room(path: Path) -> None:
    size = len(await Thumbnails().get(wanted(), path))
    made = Thumbnails(room_bytes=2 * size)
    for index in (0, 1, 0, 2):
        await made.get(wanted(index=index), path)
    assert made.size_bytes == 2 * size
    assert sum(map(len, made._of_job.values())) == 2
    path.unlink()
    for index in (0, 2):
        await made.get(wanted(index=index), path)
    with pytest.raises(FileNotFoundError):
        await made.get(wanted(index=1), path)


async def test_those_of_a_removed_job_go_and_the_others_stay(path: Path) -> None:
    made = Thumbnails()
    for job_id in ("a", "b"):
        await made.get(wanted(job_id), path)
    half = made.size_bytes // 2
    made.remove("a")
    assert made.size_bytes == half
    path.unlink()
    await made.get(wanted("b"), path)
    with pytest.raises(FileNotFoundError):
        await made.get(wanted("a"), path)


async def test_one_whose_job_is_removed_while_it_is_made_is_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, loop = Thumbnails(), asyncio.get_running_loop()

    def slowly(*_: object, **__: object) -> bytes:
        asyncio.run_coroutine_threadsafe(removed(), loop).result()
        return b"picture"

    async def removed() -> None:
        made.remove("a")

    monkeypatch.setattr(thumbnails_module, "converted", slowly)
    assert await made.get(wanted("a"), path) == b"picture"
    assert made.size_bytes == 0


async def test_several_who_ask_at_once_get_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    convert = thumbnails_module.converted
    monkeypatch.setattr(thumbnails_module, "converted", lambda *a, **k: calls.append(a) or convert(*a, **k))
    made = Thumbnails()
    answers = await asyncio.gather(*(made.get(wanted(), path) for _ in range(20)))
    assert len(set(answers)) == 1
    assert len(calls) <= 2  # as many as are made at once
    assert made.size_bytes == len(answers[0])


@pytest.mark.parametrize(
    ("mode", "media_type", "kept"),
    [
        ("RGBA", "image/webp", "RGBA"),
        ("RGBA", "image/png", "RGBA"),
        ("RGBA", "image/jpeg", "RGB"),
        ("LA", "image/png", "LA"),
        ("L", "image/png", "L"),
        ("1", "image/png", "RGB"),
        ("P", "image/webp", "RGB"),
    ],
)
async def test_every_kind_of_picture_can_be_made_small_and_keeps_its_alpha(
    tmp_path: Path, mode: str, media_type: str, kept: str
) -> None:
    path = tmp_path / "picture.png"
    image = Image.linear_gradient("L").convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.radial_gradient("L"))
    image.save(path)
    with Image.open(io.BytesIO(await Thumbnails().get(wanted(media_type=media_type), path))) as small:
        assert (small.size, small.mode) == ((50, 50), kept)


async def test_transparent_parts_of_a_palette_stay_so(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    image = Image.new("P", (100, 100), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (0, 0, 50, 100))
    image.save(path, transparency=0)
    with Image.open(io.BytesIO(await Thumbnails().get(wanted(media_type="image/png"), path))) as small:
        alpha = small.convert("RGBA").getchannel("A")
        assert (alpha.getpixel((5, 25)), alpha.getpixel((45, 25))) == (0, 255)


async def test_damaged_file_is_told_apart_from_one_that_is_gone(path: Path) -> None:
    path.write_bytes(b"no picture at all")
    with pytest.raises(OSError, match="no picture"):
        await Thumbnails().get(wanted(), path)
