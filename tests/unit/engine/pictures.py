"""Pictures the tests of the engine work on, made from nothing."""

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.images import Bytes


def texture(height: int = 96, width: int = 128, seed: int = 0) -> Bytes:
    """(height, width, 3) uint8: smooth colours with a grain, as a photograph has."""
    lots = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 24.0
    base = np.stack([np.sin(x + 0.3 * y), np.cos(y), np.sin(x * 0.5 + y)], axis=2) * 50 + 110
    return np.clip(base + lots.normal(0, 6, base.shape), 0, 255).astype(np.uint8)


def writing(text: str, *, size: int = 40, colour: tuple[int, int, int] = (255, 255, 255)) -> tuple[Bytes, Bytes]:
    """A picture 420 x 160 without and with `text` in its middle."""
    clean = texture(160, 420)
    clean = (clean * 0.4 + 40).astype(np.uint8)
    image = Image.fromarray(clean)
    ImageDraw.Draw(image).text((210, 80), text, fill=colour, font=ImageFont.load_default(size), anchor="mm")
    return clean, np.asarray(image)


def png(pixels: NDArray[np.generic], **options: object) -> bytes:
    """A PNG file of an array Pillow knows what to do with."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **options)
    return out.getvalue()


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    path.write_bytes(png(pixels))
    return path


def pixels_of(content: bytes) -> Bytes:
    """What Pillow, not the code under test, reads from a file."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def swapped_profile() -> bytes:
    """An RGB colour profile (ICC 2.4) like sRGB, in which red and blue have changed places."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)

    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    name = b"Swapped\0"
    blocks = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78 + (-len(name) - 90) % 4),
        b"cprt": b"text" + bytes(4) + b"None" + bytes(4),
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ " + bytes(4) + fixed(*blue),
        b"gXYZ": b"XYZ " + bytes(4) + fixed(*green),
        b"bXYZ": b"XYZ " + bytes(4) + fixed(*red),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset, table, body = 128 + 4 + 12 * len(blocks), b"", b""
    for tag, content in blocks.items():
        padded = content + bytes(-len(content) % 4)
        table += tag + struct.pack(">II", offset + len(body), len(content))
        body += padded
    head = bytearray(128)
    head[0:4] = struct.pack(">I", offset + len(body))
    head[8:12] = bytes((2, 0x40, 0, 0))
    head[12:24] = b"mntrRGB XYZ "
    head[36:40] = b"acsp"
    head[68:80] = fixed(0.9642, 1.0, 0.8249)
    return bytes(head) + struct.pack(">I", len(blocks)) + table + body
