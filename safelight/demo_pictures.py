"""What the demo draws: the caption on its photograph, and what was before beside what came after."""

import io
from pathlib import Path
from typing import Final

from PIL import Image, ImageCms, ImageDraw, ImageFont

CAPTION: Final = "Ten seconds to lift-off"
_CAPTION_HEIGHT: Final = 1 / 13
"""Of the letters, in heights of the picture."""
_LABEL_PX: Final = 26
_GAP_PX: Final = 8
_BACKGROUND: Final = (24, 24, 27)
_INK: Final = (228, 228, 231)


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
