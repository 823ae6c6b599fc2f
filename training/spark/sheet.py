"""A contact sheet: many small pictures with their prompts, to be looked at."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont

_CELL_PX = 128
_TEXT_PX = 26


def contact_sheet(
    pictures: torch.Tensor, labels: Sequence[str], *, columns: int = 10, wrong: Sequence[bool] | None = None
) -> Image.Image:
    """Lay out pictures, each twice its size, with its prompt below.

    Args:
        pictures: (N, 3, H, W), RGB in [0, 1].
        labels: N lines; long ones are broken in two.
        wrong: N flags; the flagged get a red label.
    """
    rows = -(-len(labels) // columns)
    sheet = Image.new("RGB", (columns * (_CELL_PX + 8) + 8, rows * (_CELL_PX + _TEXT_PX + 8) + 8), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, label in enumerate(labels):
        left = 8 + number % columns * (_CELL_PX + 8)
        top = 8 + number // columns * (_CELL_PX + _TEXT_PX + 8)
        array = (pictures[number].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        cell = Image.fromarray(array).resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
        sheet.paste(cell, (left, top))
        pen.rectangle((left - 1, top - 1, left + _CELL_PX, top + _CELL_PX), outline=(220, 220, 220))
        colour = (200, 0, 0) if wrong is not None and wrong[number] else (60, 60, 60)
        pen.text((left, top + _CELL_PX + 1), _in_two_lines(label), fill=colour, font=font, spacing=0)
    return sheet


def _in_two_lines(label: str) -> str:
    if len(label) <= 24:
        return label
    cut = label.rfind(" ", 0, 25)
    return label[:cut] + "\n" + label[cut + 1 :]
