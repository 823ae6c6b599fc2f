"""Files become upright sRGB pixels and files again, whatever kind they are."""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from engine import images
from engine.images import Picture
from engine.interface import EngineError
from protocol.errors import ErrorCode
from protocol.params import OutputFormat
from tests.unit.engine.pictures import pixels_of, png, swapped_profile, texture


class Warnings:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def __call__(self, code: str, message: str) -> None:
        assert message
        self.codes.append(code)


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_survives_decoding_and_encoding_bit_by_bit(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, channels), np.uint8)
    picture = images.decode(png(pixels))
    assert (picture.alpha is None) == (channels == 3)
    assert (pixels_of(images.encode(picture, OutputFormat.PNG).content) == pixels).all()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_camera_orientation_is_turned_upright_once(orientation: int, file_format: str) -> None:
    image = Image.fromarray(texture(5, 8))
    exif = image.getexif()
    exif[274] = orientation
    content = saved(image, file_format, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert (images.to_uint8(images.decode(content).rgb) == upright).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_survive_decoding_and_encoding(channels: int) -> None:
    values = np.random.default_rng(2).integers(0, 65_536, (6, 5, channels), np.uint16)
    content = bytes(cv2.imencode(".png", values)[1])
    picture = images.decode(content)
    assert picture.depth_bits == 16
    again = cv2.imdecode(np.frombuffer(images.encode(picture, OutputFormat.PNG).content, np.uint8), -1)
    assert (again == values).all()


def test_a_dark_sixteen_bit_grey_is_not_taken_for_eight_bits() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(out, "TIFF")
    assert images.decode(out.getvalue()).rgb.max() == pytest.approx(200 / 65_535)


def test_transparent_palette_entries_become_alpha() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    picture = images.decode(saved(image, "PNG", transparency=1))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[1.0, 0.0]]
    assert picture.rgb[0, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_mode_of_tiff_is_read_as_rgb_of_the_same_size(mode: str) -> None:
    grey = Image.fromarray(texture(6, 9)).convert("L")
    image = grey.convert("I").convert("I;16") if mode == "I;16" else grey.convert(mode)
    picture = images.decode(saved(image, "TIFF"))
    assert picture.rgb.shape == (6, 9, 3)
    assert picture.rgb.dtype == np.float32
    assert 0 <= picture.rgb.min() <= picture.rgb.max() <= 1
    assert (picture.alpha is not None) == (mode in {"LA", "RGBA"})


def test_an_embedded_profile_is_applied() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    told = Warnings()
    picture = images.decode(png(red, icc_profile=swapped_profile()), warn=told)
    assert np.abs(images.to_uint8(picture.rgb).astype(int) - (0, 0, 255)).max() <= 3
    assert told.codes == []


def test_an_embedded_srgb_profile_changes_no_pixel() -> None:
    pixels = texture()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (images.to_uint8(images.decode(png(pixels, icc_profile=profile)).rgb) == pixels).all()


@pytest.mark.parametrize(
    "profile", [b"not a profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
)
def test_a_useless_profile_is_ignored_with_a_warning(profile: bytes) -> None:
    pixels, told = texture(), Warnings()
    picture = images.decode(png(pixels, icc_profile=profile), warn=told)
    assert (images.to_uint8(picture.rgb) == pixels).all()
    assert told.codes == ["profile_ignored"]


def test_alpha_survives_a_colour_profile() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (5, 5, 4), np.uint8)
    picture = images.decode(png(pixels, icc_profile=swapped_profile()))
    assert picture.alpha is not None
    assert (images.to_uint8(picture.alpha) == pixels[..., 3]).all()


@pytest.mark.parametrize("cut", [0, 1, 20, 60, -40])
def test_a_file_that_is_not_whole_is_a_bad_image(cut: int) -> None:
    with pytest.raises(EngineError) as caught:
        images.decode(png(texture())[:cut])
    assert caught.value.code is ErrorCode.BAD_IMAGE


@pytest.mark.parametrize("content", [b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>"])
def test_what_is_no_picture_is_a_bad_image(content: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        images.decode(content)
    assert caught.value.code is ErrorCode.BAD_IMAGE


def test_jpeg_lays_transparency_on_white() -> None:
    half = Picture(np.zeros((16, 16, 3), np.float32), np.full((16, 16), 0.5, np.float32))
    written = images.encode(half, OutputFormat.JPEG, 95)
    assert written.media_type == "image/jpeg"
    assert np.abs(pixels_of(written.content).astype(int) - 128).max() <= 2


def test_webp_keeps_alpha_exactly_and_colours_closely() -> None:
    pixels = np.dstack([texture(), np.random.default_rng(4).integers(0, 256, (96, 128), np.uint8)])
    written = pixels_of(images.encode(images.decode(png(pixels)), OutputFormat.WEBP, 95).content)
    assert (written[..., 3] == pixels[..., 3]).all()
    assert np.abs(written[..., :3].astype(int) - pixels[..., :3]).mean() < 8


@pytest.mark.parametrize("output_format", [each for each in OutputFormat if each is not OutputFormat.SOURCE])
def test_output_files_are_untagged_and_say_their_size(output_format: OutputFormat) -> None:
    image = Image.fromarray(texture())
    exif = image.getexif()
    exif[271] = "A camera"
    content = saved(image, "PNG", exif=exif, icc_profile=swapped_profile())
    written = images.encode(images.decode(content), output_format)
    assert (written.width, written.height) == (128, 96)
    with Image.open(io.BytesIO(written.content)) as opened:
        assert Image.MIME[opened.format or ""] == written.media_type
        assert "icc_profile" not in opened.info
        assert not opened.getexif()


def test_a_picture_too_wide_for_webp_is_refused_with_the_limit() -> None:
    with pytest.raises(EngineError, match="16383") as caught:
        images.encode(Picture(np.zeros((1, 16_384, 3), np.float32)), OutputFormat.WEBP)
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_a_mask_file_is_white_where_the_mask_is_one() -> None:
    mask = np.zeros((3, 4), np.bool_)
    mask[1, 2] = True
    assert (pixels_of(images.encode_mask(mask).content) == mask * 255).all()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(2000, 1000, (256, 128)), (10, 20, (10, 20)), (1, 5000, (1, 256))]
)
def test_a_thumbnail_keeps_the_shape_and_is_never_larger(height: int, width: int, expected: tuple[int, int]) -> None:
    small = images.thumbnail(np.full((height, width, 3), 0.5, np.float32))
    assert small.shape == (*expected, 3)
    assert (small == 128).all()


def test_a_thumbnail_shares_no_memory_with_the_picture() -> None:
    pixels = texture(8, 8)
    small = images.thumbnail(pixels)
    before = small.copy()
    pixels[:] = 0
    assert (small == before).all()


def test_all_bytes_survive_the_way_through_floats() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert (images.to_uint8(images.from_uint8(values)) == values).all()


def test_a_tensor_has_its_planes_first_and_comes_back_equal() -> None:
    rgb = images.from_uint8(texture(5, 7))
    tensor = images.to_tensor(rgb)
    assert tensor.shape == (1, 3, 5, 7)
    assert tensor[0, 2, 4, 6] == rgb[4, 6, 2]
    assert (images.from_tensor(tensor) == rgb).all()
    assert images.from_tensor(tensor.to(torch.float16) * 3).max() == 1


def test_importing_images_loads_neither_torch_nor_opencv() -> None:
    code = "import sys, engine.images, engine.fake; sys.exit(bool({'torch', 'cv2', 'rapidocr'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_make_a_bad_picture() -> None:
    pixels = texture()
    content = saved(Image.fromarray(pixels), "PNG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage")
    assert (images.to_uint8(images.decode(content).rgb) == pixels).all()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"])
def test_every_readable_format_is_read_in_a_fresh_process(file_format: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(saved(Image.fromarray(texture()), file_format))
    code = (
        "import sys, pathlib; from engine.images import decode; assert decode(pathlib.Path(sys.argv[1])).width == 128"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_plain_file_shows_what_a_picture_of_it_does(mode: str) -> None:
    content = png(np.asarray(Image.fromarray(texture()).convert(mode)))
    plain, picture = images.decode_plain(content), images.decode(content)
    assert plain is not None
    assert plain.mode == mode
    assert np.array_equal(np.asarray(plain.convert("RGB")), images.to_uint8(picture.rgb))


@pytest.mark.parametrize("kind", ["palette", "one colour transparent", "rotated", "profile", "16 bits", "cut short"])
def test_a_file_whose_pixels_are_to_be_converted_is_not_plain(kind: str) -> None:
    image, options = Image.fromarray(texture()), {}
    if kind == "palette":
        image = image.convert("P")
    elif kind == "16 bits":
        image = Image.fromarray(np.zeros((4, 4), np.uint16))
    elif kind == "one colour transparent":
        options = {"transparency": (1, 2, 3)}
    elif kind == "profile":
        options = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    elif kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    content = out.getvalue()
    assert images.decode_plain(content[:200] if kind == "cut short" else content) is None
