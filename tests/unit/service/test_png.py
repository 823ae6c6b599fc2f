import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from protocol.errors import ErrorCode, ProtocolError
from service.png import SIGNATURE, is_intact
from service.probe import Probe, probe

SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0))
PIXELS = chunk(b"IDAT", zlib.compress(b"\0" * 10))
END = chunk(b"IEND")
EXIF = chunk(b"eXIf", SIDEWAYS.tobytes().removeprefix(b"Exif\0\0"))


def written(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_what_pillow_writes_is_intact(mode: str) -> None:
    assert is_intact(io.BytesIO(written(Image.new(mode, (50, 40)), exif=SIDEWAYS, dpi=(72, 72))))


def test_a_file_with_any_byte_changed_or_missing_is_not_intact() -> None:
    content = SIGNATURE + HEADER + PIXELS + END
    assert is_intact(io.BytesIO(content))
    for place in range(len(content)):
        spoiled = bytearray(content)
        spoiled[place] ^= 0x10
        assert not is_intact(io.BytesIO(spoiled))
        assert not is_intact(io.BytesIO(content[:place]))


def test_more_pixels_than_could_be_in_so_small_a_file_are_not_intact() -> None:
    large = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0))
    assert not is_intact(io.BytesIO(SIGNATURE + large + PIXELS + END))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_emptiest_picture_is_intact(mode: str) -> None:
    assert is_intact(io.BytesIO(written(Image.new(mode, (3000, 2000)), compress_level=9)))


def test_a_file_without_pixels_is_not_intact() -> None:
    assert not is_intact(io.BytesIO(SIGNATURE + HEADER + END))


def test_a_picture_that_says_behind_its_pixels_how_it_lies_is_measured_upright(tmp_path: Path) -> None:
    path = tmp_path / "late.png"
    for content in (HEADER + EXIF + PIXELS + END, HEADER + PIXELS + EXIF + END):
        path.write_bytes(SIGNATURE + content)
        assert probe(path, 100) == Probe("image/png", 2, 4)


def test_a_wrong_checksum_alone_makes_no_bad_picture(tmp_path: Path) -> None:
    path = tmp_path / "careless.png"
    path.write_bytes(SIGNATURE + HEADER + PIXELS[:-1] + bytes([PIXELS[-1] ^ 1]) + END)
    assert probe(path, 100) == Probe("image/png", 4, 2)


def test_no_pixel_of_an_intact_file_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "nonsense.png"
    path.write_bytes(SIGNATURE + HEADER + chunk(b"IDAT", b"nonsense") + END)
    assert probe(path, 100) == Probe("image/png", 4, 2)
    path.write_bytes(SIGNATURE + HEADER + chunk(b"IDAT", b"nonsense")[:-1] + b"\0" + END)
    with pytest.raises(ProtocolError) as refused:
        probe(path, 100)
    assert refused.value.code is ErrorCode.BAD_IMAGE
