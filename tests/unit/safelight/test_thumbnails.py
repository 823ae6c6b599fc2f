"""Of `safelight.thumbnails`."""

import io

from PIL import Image
from rich.text import Text

from safelight.thumbnails import half_blocks


def picture(width: int, height: int) -> bytes:
    """Red above, blue below."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (0, height // 2, width, height))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def colours(text: Text, at: int) -> tuple[object, object]:
    style = next(span.style for span in text.spans if span.start <= at < span.end)
    assert not isinstance(style, str)
    assert style.color is not None
    assert style.bgcolor is not None
    return style.color.triplet, style.bgcolor.triplet


def test_a_cell_holds_two_pixels() -> None:
    text = half_blocks(picture(4, 2), columns=4, rows=4)
    assert text is not None
    assert text.plain == "▀▀▀▀"
    assert colours(text, 0) == ((255, 0, 0), (0, 0, 255))


def test_a_picture_keeps_its_sides_within_the_room() -> None:
    for width, height, wanted in ((256, 256, (8, 4)), (256, 128, (16, 4)), (100, 256, (3, 4))):
        text = half_blocks(picture(width, height), columns=16, rows=4)
        assert text is not None
        lines = text.plain.split("\n")
        assert (len(lines[0]), len(lines)) == wanted


def test_what_is_no_picture_is_not_shown() -> None:
    assert half_blocks(b"x", columns=4, rows=4) is None
