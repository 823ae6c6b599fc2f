"""Small pictures in a terminal, of coloured half blocks: two pixels to a character cell."""

import io
from typing import Final

from PIL import Image, UnidentifiedImageError
from rich.color import Color
from rich.style import Style
from rich.text import Text

_UPPER_HALF: Final = "▀"


def half_blocks(picture: bytes, *, columns: int, rows: int) -> Text | None:
    """A picture as text, its sides kept, in at most so many columns and rows of cells.

    Args:
        picture: a picture file.

    Returns:
        None if it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(picture)) as file:
            image = file.convert("RGB")
    except (UnidentifiedImageError, OSError):
        return None
    image.thumbnail((columns, 2 * rows), Image.Resampling.BOX)
    if image.height % 2:
        image = image.resize((image.width, image.height + 1))
    text = Text(no_wrap=True)
    for y in range(0, image.height, 2):
        for x in range(image.width):
            upper, lower = (_colour(image, x, y + half) for half in (0, 1))
            text.append(_UPPER_HALF, Style(color=upper, bgcolor=lower))
        if y + 2 < image.height:
            text.append("\n")
    return text


def _colour(image: Image.Image, x: int, y: int) -> Color:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return Color.from_rgb(*pixel)
