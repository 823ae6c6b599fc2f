"""What a file said of itself comes back in a new one, where that can say it."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from engine import images
from engine.images import Picture
from engine.origin import FileFormat
from protocol.params import OutputFormat
from tests.unit.engine.pictures import pixels_of, swapped_profile, texture

DPI = (300.0, 150.0)


def saved(file_format: str, image: Image.Image | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    (image or Image.fromarray(texture(40, 60))).save(out, file_format, **options)
    return out.getvalue()


def exif(orientation: int | None = None) -> Image.Exif:
    block = Image.Exif()
    block[270] = "A harbour"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    if orientation is not None:
        block[274] = orientation
    return block


def again(content: bytes, output_format: OutputFormat = OutputFormat.SOURCE) -> Image.Image:
    picture = images.decode(content, keep_metadata=True)
    written = images.encode(picture, output_format, 95)
    opened = Image.open(io.BytesIO(written.content))
    opened.load()
    return opened


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_a_file_comes_back_in_its_own_format(file_format: str) -> None:
    assert again(saved(file_format)).format == file_format


@pytest.mark.parametrize("file_format", ["TGA", "ICO", "JPEG2000", "AVIF"])
def test_a_format_that_is_not_written_becomes_jpeg(file_format: str) -> None:
    assert again(saved(file_format)).format == "JPEG"


def test_a_picture_made_from_nothing_becomes_png() -> None:
    made = images.encode(Picture(np.zeros((4, 4, 3), np.float32)), OutputFormat.SOURCE)
    assert made.media_type == "image/png"


def test_nothing_is_kept_that_was_not_asked_for() -> None:
    content = saved("PNG", dpi=DPI, exif=exif())
    opened = Image.open(io.BytesIO(images.encode(images.decode(content), OutputFormat.SOURCE).content))
    assert not opened.info
    assert not opened.getexif()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF"])
def test_the_resolution_is_kept(file_format: str) -> None:
    assert again(saved(file_format, dpi=DPI)).info["dpi"] == pytest.approx(DPI, abs=0.02)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("to", [OutputFormat.PNG, OutputFormat.JPEG, OutputFormat.WEBP])
def test_exif_is_kept_without_the_orientation(file_format: str, to: OutputFormat) -> None:
    opened = again(saved(file_format, exif=exif(orientation=6)), to)
    assert opened.size == (40, 60)
    assert set(opened.getexif()) == {270, 0x8769}
    assert opened.getexif().get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"


def test_exif_of_an_upright_picture_is_kept_byte_for_byte() -> None:
    content = saved("JPEG", exif=exif())
    assert again(content).info["exif"] == Image.open(io.BytesIO(content)).info["exif"]


@pytest.mark.parametrize("text", ["a cat\nSteps: 20", "eine Übung", "猫 and a dog"])
def test_the_parameters_of_a_png_are_kept_and_no_other_text(text: str) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_itxt("parameters", text)
    told.add_text("Software", "something")
    opened = again(saved("PNG", pnginfo=told))
    assert opened.info["parameters"] == text
    assert "Software" not in opened.info


def test_a_png_of_sixteen_bits_says_as_much() -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (20, 30, 3), np.uint16)
    _, content = cv2.imencode(".png", deep)
    source = Image.open(io.BytesIO(bytes(content)))
    assert "dpi" not in source.info
    picture = images.decode(bytes(content))
    assert picture.origin is not None
    told = replace(picture, origin=replace(picture.origin, dpi=DPI, parameters="a cat"))
    written = images.encode(told, OutputFormat.PNG).content
    again_deep = cv2.imdecode(np.frombuffer(written, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(again_deep, deep)
    assert Image.open(io.BytesIO(written)).info["parameters"] == "a cat"


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_an_srgb_profile_is_kept(file_format: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert again(saved(file_format, icc_profile=srgb)).info["icc_profile"] == srgb


def test_another_profile_is_kept_with_the_colours_as_they_are_in_it() -> None:
    opened = again(saved("PNG", icc_profile=swapped_profile()))
    assert opened.info["icc_profile"] == swapped_profile()
    assert np.array_equal(np.asarray(opened), texture(40, 60))


def test_a_format_that_holds_no_profile_gets_the_colours_in_srgb() -> None:
    content = saved("PNG", icc_profile=swapped_profile())
    converted = pixels_of(images.encode(images.decode(content), OutputFormat.PNG).content)
    picture = images.decode(content, keep_metadata=True)
    assert picture.origin is not None
    as_bmp = replace(picture, origin=replace(picture.origin, format=FileFormat.BMP))
    assert np.array_equal(pixels_of(images.encode(as_bmp, OutputFormat.SOURCE).content), converted)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_a_damaged_exif_block_makes_no_bad_picture() -> None:
    content = saved("PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff")
    assert again(content).size == (60, 40)


@pytest.mark.parametrize("file_format", ["JPEG", "PPM"])
def test_a_format_without_transparency_is_laid_on_white(file_format: str) -> None:
    clear = Picture(np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32))
    origin = images.decode(saved(file_format)).origin
    written = images.encode(replace(clear, origin=origin), OutputFormat.SOURCE)
    assert pixels_of(written.content).min() > 250
