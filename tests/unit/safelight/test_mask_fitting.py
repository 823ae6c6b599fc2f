import io
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from safelight.errors import PictureUnreadable
from safelight.mask_fitting import fitted, side_by_side

ORIENTATION = 0x0112
WIDE = (8, 4)


def picture(path: Path, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", WIDE, "green").save(path, exif=exif)
    return path


def corner_mask(path: Path, size: tuple[int, int]) -> Path:
    """White in the first quarter of both sides."""
    layer = Image.new("L", size)
    layer.paste(255, (0, 0, size[0] // 4, size[1] // 4))
    layer.save(path)
    return path


def opened(content: Path | bytes) -> Image.Image:
    assert isinstance(content, bytes)
    return Image.open(io.BytesIO(content))


def test_a_mask_that_fits_is_taken_as_it_is(tmp_path: Path) -> None:
    mask = corner_mask(tmp_path / "m.png", WIDE)
    assert fitted(mask, picture(tmp_path / "a.jpg")) == mask


def test_a_mask_of_the_upright_size_is_not_turned_again(tmp_path: Path) -> None:
    mask = corner_mask(tmp_path / "m.png", WIDE[::-1])
    assert fitted(mask, picture(tmp_path / "a.jpg", 6)) == mask


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_size_before_turning_is_turned_as_the_picture_is(tmp_path: Path, orientation: int) -> None:
    mask, photo = corner_mask(tmp_path / "m.png", WIDE), picture(tmp_path / "a.jpg", orientation)
    with Image.open(mask) as layer, Image.open(photo) as tagged:
        layer.getexif()[ORIENTATION] = orientation
        expected = ImageOps.exif_transpose(layer)
        assert ImageOps.exif_transpose(tagged).size == expected.size
    found = opened(fitted(mask, photo)).convert("L")
    assert found.size == (4, 8)
    assert found.tobytes() == expected.tobytes()


def test_any_other_mask_is_resized_without_new_values(tmp_path: Path) -> None:
    found = opened(fitted(corner_mask(tmp_path / "m.png", (80, 40)), picture(tmp_path / "a.jpg")))
    assert found.size == WIDE
    assert found.convert("L").tobytes() == bytes([255, 255, *[0] * 6, *[0] * 24])


def test_a_mask_that_says_it_by_its_alpha_still_does_when_resized(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (4, 2), (255, 255, 255, 0))
    layer.putpixel((0, 0), (255, 255, 255, 255))
    layer.save(tmp_path / "m.png")
    found = opened(fitted(tmp_path / "m.png", picture(tmp_path / "a.jpg")))
    assert found.mode == "RGBA"
    assert found.getchannel("A").tobytes() == bytes([255, 255, *[0] * 6] * 2 + [0] * 16)


@pytest.mark.parametrize("broken", ["mask", "picture"])
def test_what_is_no_picture_is_told_by_its_name(tmp_path: Path, broken: str) -> None:
    files = {"mask": corner_mask(tmp_path / "mask.png", (5, 5)), "picture": picture(tmp_path / "picture.jpg")}
    files[broken].write_bytes(b"nothing")
    with pytest.raises(PictureUnreadable, match=rf"{broken}\.\w+: no picture of a known format"):
        fitted(files["mask"], files["picture"])


def test_a_mask_that_is_cut_off_is_told(tmp_path: Path) -> None:
    mask = corner_mask(tmp_path / "m.png", (300, 300))
    mask.write_bytes(mask.read_bytes()[:-40])
    with pytest.raises(PictureUnreadable, match=r"mask .*m\.png"):
        fitted(mask, picture(tmp_path / "a.jpg"))


def test_picture_mask_and_result_stand_in_a_row_upright(tmp_path: Path) -> None:
    result = io.BytesIO()
    Image.new("RGB", WIDE[::-1], "blue").save(result, "PNG")
    row = opened(side_by_side(picture(tmp_path / "a.png", 6), [(0, 0, 4, 2)], result.getvalue()))
    assert (row.size, row.mode) == ((12, 8), "RGB")
    assert [row.getpixel(at) for at in ((0, 0), (4, 1), (4, 2), (8, 0))] == [
        (0, 128, 0), (255, 255, 255), (0, 0, 0), (0, 0, 255),
    ]  # fmt: skip
