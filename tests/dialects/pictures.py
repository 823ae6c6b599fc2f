"""Small pictures that clients send, and those they are given."""

import base64
import io

import numpy as np
from PIL import Image


def png(width: int = 64, height: int = 48, *, mode: str = "RGB", file_format: str = "PNG") -> bytes:
    """A picture in which no two rows or columns are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 5 % 256, columns * 4 % 256, (rows + columns) * 2 % 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, file_format)
    return buffer.getvalue()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))
