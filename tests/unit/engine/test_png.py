"""PNG files as OpenCV writes them, read by Pillow and by ourselves."""

import io

import numpy as np
import pytest
from PIL import Image

from engine.png import is_deep, read_deep, write_png


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_every_pixel_is_read_as_it_was_written(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    content = write_png(pixels)
    assert not is_deep(content)
    assert read_deep(content) is None
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert image.info == {}
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_sixteen_bits_are_read_as_they_were_written(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(2).integers(0, 65_536, shape, np.uint16)
    content = write_png(pixels)
    assert is_deep(content)
    deep = read_deep(content)
    assert deep is not None
    assert np.array_equal(deep, pixels)


def test_half_a_deep_file_is_none() -> None:
    content = write_png(np.zeros((64, 64, 3), np.uint16))
    assert read_deep(content[:30]) is None


def test_a_picture_takes_no_more_room_than_pillow_needs_for_it() -> None:
    """What the filter and the strategy are chosen for; shades with grain, like a photograph."""
    down, across = np.mgrid[0:256, 0:256]
    grain = np.random.default_rng(3).normal(0, 3, (256, 256, 3))
    pixels = np.clip(np.stack((down / 2, across / 2, (down + across) / 3), axis=2) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=6)
    assert len(write_png(pixels)) <= 1.05 * len(out.getvalue())
