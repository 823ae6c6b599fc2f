import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from service.probe import Probe, open_header, probe, upright_size

CAP = 1_000_000


def written(folder: Path, content: bytes) -> Path:
    path = folder / "in"
    path.write_bytes(content)
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def refusal(folder: Path, content: bytes, max_pixels: int = CAP) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        probe(written(folder, content), max_pixels, at="$.params.mask")
    error = caught.value
    assert error.field == "$.params.mask"
    assert error.message.startswith("mask: ")
    assert error.message.endswith("at $.params.mask")
    return error


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif"), ("BMP", "image/bmp"),
     ("TIFF", "image/tiff"), ("PPM", "image/x-portable-pixmap"), ("JPEG2000", "image/jp2"),
     ("TGA", "image/x-tga")],
)  # fmt: skip
def test_each_accepted_format_is_recognised_by_its_content(kind: str, media_type: str, tmp_path: Path) -> None:
    assert probe(written(tmp_path, encoded(gradient(), kind)), CAP) == Probe(media_type, 40, 30)


def test_an_icon_has_the_size_of_its_largest_picture(tmp_path: Path) -> None:
    content = encoded(gradient(), "ICO", sizes=[(20, 15), (40, 30)])
    assert probe(written(tmp_path, content), CAP) == Probe("image/x-icon", 40, 30)


@pytest.mark.parametrize(
    "content",
    [
        encoded(gradient("CMYK"), "JPEG"),
        encoded(gradient("L"), "JPEG"),
        encoded(gradient("1"), "PNG"),
        encoded(gradient("P"), "PNG"),
        encoded(gradient("RGBA"), "PNG"),
        encoded(gradient("I;16"), "PNG"),
        encoded(gradient(), "WEBP", save_all=True, append_images=[gradient(), gradient()], duration=10),
        encoded(gradient(), "GIF", save_all=True, append_images=[gradient()], duration=10),
        encoded(gradient(), "JPEG", progressive=True),
        encoded(gradient(), "TIFF", compression="tiff_lzw"),
    ],
    ids=[
        "cmyk",
        "grey",
        "one-bit",
        "palette",
        "alpha",
        "sixteen-bit",
        "animated-webp",
        "animated-gif",
        "progressive",
        "lzw",
    ],
)
def test_unusual_pictures_are_pictures(content: bytes, tmp_path: Path) -> None:
    found = probe(written(tmp_path, content), CAP)
    assert (found.width, found.height) == (40, 30)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(orientation: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = probe(written(tmp_path, encoded(gradient(), kind, exif=exif)), CAP)
    assert (found.width, found.height) == ((30, 40) if orientation >= 5 else (40, 30))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_size_of_a_header_is_that_of_the_upright_picture_and_no_pixel_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, turned = encoded(gradient(), kind), encoded(gradient(), kind, exif=exif)
    decoded: list[str] = []
    for content, size in ((plain, (40, 30)), (turned, (30, 40))):
        image = open_header(io.BytesIO(content))
        assert image is not None
        monkeypatch.setattr(image, "load", lambda: decoded.append("all of it"))
        assert upright_size(image) == size
    assert decoded == []


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_block_of_metadata_does_not_make_a_bad_picture(tmp_path: Path) -> None:
    content = encoded(gradient(), "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\xff\xff")
    assert probe(written(tmp_path, content), CAP) == Probe("image/jpeg", 40, 30)


@pytest.mark.parametrize(
    "content",
    [
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"gimp xcf v011\0\0\0\0\1",
    ],
    ids=["text", "svg", "pdf", "eps", "xcf"],
)
def test_what_is_no_accepted_format_is_a_bad_image(content: bytes, tmp_path: Path) -> None:
    error = refusal(tmp_path, content)
    assert error.code is ErrorCode.BAD_IMAGE
    assert "PNG, JPEG, WebP" in error.message


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"")
    assert error.code is ErrorCode.BAD_IMAGE
    assert "empty" in error.message


@pytest.mark.parametrize("size", [(1001, 1000), (50_000, 50_000), (2**31 - 1, 2**31 - 1), (1, 2_000_000)])
def test_a_small_file_that_claims_to_be_huge_is_refused_with_its_size(size: tuple[int, int], tmp_path: Path) -> None:
    error = refusal(tmp_path, png_header(*size))
    assert error.code is ErrorCode.IMAGE_TOO_LARGE
    assert f"{size[0]} x {size[1]}" in error.message
    assert str(CAP) in error.message


def test_a_picture_above_pillows_own_warning_is_measured_by_our_cap_alone(tmp_path: Path) -> None:
    error = refusal(tmp_path, png_header(10_000, 10_000), max_pixels=100_000_000)
    assert error.code is ErrorCode.BAD_IMAGE, "within the cap, so it was decoded, and found to be damaged"


def test_no_side_is_longer_than_the_protocol_allows(tmp_path: Path) -> None:
    error = refusal(tmp_path, png_header(16_385, 1))
    assert error.code is ErrorCode.IMAGE_TOO_LARGE
    assert "16384" in error.message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_cut_short_anywhere_is_a_bad_image(kind: str, tmp_path: Path) -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    content = encoded(image, kind)
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9):
        assert refusal(tmp_path, content[: int(len(content) * share)]).code is ErrorCode.BAD_IMAGE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flipped_bits_never_raise_anything_but_our_own_error(kind: str, tmp_path: Path) -> None:
    content = encoded(gradient("RGB", (16, 16)), kind)
    for place in range(min(len(content), 400)):
        spoiled = bytearray(content)
        spoiled[place] ^= 0xFF
        with suppress(ProtocolError):
            found = probe(written(tmp_path, bytes(spoiled)), CAP)
            assert found.width * found.height <= CAP


@pytest.mark.parametrize("length", [1, 2, 8, 12, 16, 30])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_few_first_bytes_are_a_bad_image(kind: str, length: int, tmp_path: Path) -> None:
    assert refusal(tmp_path, encoded(gradient(), kind)[:length]).code is ErrorCode.BAD_IMAGE
