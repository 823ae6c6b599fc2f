"""What the demos draw: a caption on a photograph, what was before beside what came after, and sheets of pictures."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageCms, ImageDraw, ImageFont

CAPTION: Final = "Ten seconds to lift-off"
_CAPTION_HEIGHT: Final = 1 / 13
"""Of the letters, in heights of the picture."""
_LABEL_PX: Final = 26
_GAP_PX: Final = 8
_FRAME_PX: Final = 192
_MOST_FRAMES: Final = 6
_BACKGROUND: Final = (24, 24, 27)
_INK: Final = (228, 228, 231)
_FAINT: Final = (150, 150, 158)
_SHEET_PX: Final = 160


def caption(photograph: Path, target: Path) -> None:
    """Write a subtitle onto the photograph, as somebody may have done to a picture one wants to have back."""
    picture = _in_srgb(photograph)
    letters_px = round(picture.height * _CAPTION_HEIGHT)
    font = ImageFont.load_default(letters_px)
    place = (picture.width / 2, picture.height * 0.16)
    ImageDraw.Draw(picture).text(
        place, CAPTION, font=font, anchor="mm", fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0)
    )
    picture.save(target)


def film_strips(films: dict[str, list[bytes]], target: Path) -> None:
    """Put what each picture looked like as it developed into a row of its own, under its prompt.

    Args:
        films: prompt -> picture files, the first preview first and the finished picture last.
    """
    rows = [[Image.open(io.BytesIO(frame)).convert("RGB") for frame in _chosen(frames)] for frames in films.values()]
    most = max(map(len, rows))
    row_px = _FRAME_PX + _LABEL_PX + _GAP_PX
    sheet = Image.new("RGB", (most * (_FRAME_PX + _GAP_PX) - _GAP_PX, len(rows) * row_px), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LABEL_PX * 0.75)
    for number, (prompt, frames) in enumerate(zip(films, rows, strict=True)):
        y = number * row_px
        draw.text((_GAP_PX, y + _LABEL_PX / 2 + 2), prompt, font=font, anchor="lm", fill=_INK)
        for place, frame in enumerate(frames):
            sheet.paste(frame.resize((_FRAME_PX, _FRAME_PX)), (place * (_FRAME_PX + _GAP_PX), y + _LABEL_PX + _GAP_PX))
    sheet.save(target)


def _chosen(frames: list[bytes]) -> list[bytes]:
    """At most `_MOST_FRAMES`, evenly spread, the first and the last among them."""
    if len(frames) <= _MOST_FRAMES:
        return frames
    return [frames[round(place * (len(frames) - 1) / (_MOST_FRAMES - 1))] for place in range(_MOST_FRAMES)]


def _in_srgb(path: Path) -> Image.Image:
    """The picture in the colours of the web, without a profile: beside others it must not look different."""
    with Image.open(path) as file:
        profile = file.info.get("icc_profile")
        picture = file.convert("RGB")
    if profile:
        ImageCms.profileToProfile(picture, io.BytesIO(profile), ImageCms.createProfile("sRGB"), inPlace=True)
    picture.info.pop("icc_profile", None)
    return picture


def side_by_side(pictures: dict[str, Path], target: Path) -> None:
    """Put pictures next to each other at one height, each under its label."""
    opened = [_in_srgb(path) for path in pictures.values()]
    height = max(picture.height for picture in opened)
    scaled = [
        picture.resize((round(picture.width * height / picture.height), height), Image.Resampling.NEAREST)
        for picture in opened
    ]
    width = sum(picture.width + _GAP_PX for picture in scaled) - _GAP_PX
    sheet = Image.new("RGB", (width, height + _LABEL_PX + _GAP_PX), _BACKGROUND)
    draw, font, x = ImageDraw.Draw(sheet), ImageFont.load_default(_LABEL_PX * 0.75), 0
    for label, picture in zip(pictures, scaled, strict=True):
        draw.text((x + _GAP_PX, _LABEL_PX / 2 + 2), label, font=font, anchor="lm", fill=_INK)
        sheet.paste(picture, (x, _LABEL_PX + _GAP_PX))
        x += picture.width + _GAP_PX
    sheet.save(target, quality=92)


def contact_sheet(pictures: Sequence[tuple[str, str, Path]], target: Path, *, columns: int = 6) -> None:
    """Put pictures into a grid, each over two lines of text.

    Args:
        pictures: the two lines, and the file.
    """
    rows = -(-len(pictures) // columns)
    cell = (_SHEET_PX + _GAP_PX, _SHEET_PX + 2 * _LABEL_PX)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP_PX, rows * cell[1] + _GAP_PX), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LABEL_PX * 0.55)
    for number, (above, below, path) in enumerate(pictures):
        x, y = _GAP_PX + number % columns * cell[0], _GAP_PX + number // columns * cell[1]
        sheet.paste(_in_srgb(path).resize((_SHEET_PX, _SHEET_PX), Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + _SHEET_PX + _LABEL_PX * 0.5), above, font=font, anchor="lm", fill=_INK)
        draw.text((x, y + _SHEET_PX + _LABEL_PX * 1.2), below, font=font, anchor="lm", fill=_FAINT)
    sheet.save(target)
