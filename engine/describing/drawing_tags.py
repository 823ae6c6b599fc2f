"""The tags that drawings are sorted by, found by the tagger WD 1.4.

Source: SmilingWolf's taggers (2022 and later): a square in the order blue, green, red, 0..255, white where the picture
is not; one likelihood for each line of a table of tags.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from engine.images import Bytes, Floats
from engine.interface import EngineError
from engine.models.onnx_session import Session, open_session
from protocol.errors import ErrorCode

_USUAL_PX: Final = 448
_WHITE: Final = 255
_GENERAL: Final = "0"
_CHARACTER: Final = "4"
_LEAST: Final = {_GENERAL: 0.35, _CHARACTER: 0.85}
_TABLE: Final = "selected_tags.csv"


@dataclass(frozen=True, slots=True)
class Tag:
    """A line of the table: a tag, and the number of its kind."""

    name: str
    category: str


class DrawingTagger:
    """A session of the network and its table."""

    def __init__(self, session: Session, tags: Sequence[Tag]) -> None:
        self._session = session
        self._tags = tags

    def caption(self, image: Bytes) -> str:
        """The tags of a picture, those of known characters first, with commas.

        Brackets have a backslash before them, so that a prompt does not take them for weights.

        Args:
            image: (H, W, 3) uint8, RGB.

        Raises:
            EngineError: `bad_model`: the table is not the network's.
        """
        told = self._session.get_inputs()[0]
        side = told.shape[1] if isinstance(told.shape[1], int) else _USUAL_PX
        (answer, *_) = self._session.run(None, {told.name: _prepared(image, side)[None]})
        likely = np.asarray(answer, np.float32).reshape(-1)
        if len(likely) != len(self._tags):
            message = f"the table of tags has {len(self._tags)} lines, and the network knows {len(likely)} tags"
            raise EngineError(ErrorCode.BAD_MODEL, message)
        found = [
            tag.name
            for category in (_CHARACTER, _GENERAL)
            for tag, likelihood in zip(self._tags, likely, strict=True)
            if tag.category == category and likelihood > _LEAST[category]
        ]
        return ", ".join(map(_as_prompt, found))


def load_drawing_tagger(path: Path, device: str) -> DrawingTagger:
    """Read the file, and the table beside it: of the same name with `.csv`, or `selected_tags.csv`.

    Raises:
        EngineError: `bad_model`: there is no table, or it cannot be read.
    """
    table = next((each for each in (path.with_suffix(".csv"), path.parent / _TABLE) if each.is_file()), None)
    if table is None:
        raise EngineError(ErrorCode.BAD_MODEL, f"{path.name} cannot be used: put {_TABLE} beside it")
    try:
        with table.open(encoding="utf-8", newline="") as file:
            tags = [Tag(line["name"], line["category"]) for line in csv.DictReader(file)]
    except (KeyError, ValueError, csv.Error) as error:
        raise EngineError(ErrorCode.BAD_MODEL, f"{table.name} is no table of tags with names and categories") from error
    return DrawingTagger(open_session(path, device), tags)


def _prepared(image: Bytes, side: int) -> Floats:
    """(side, side, 3): the picture in the middle of a white square."""
    height, width = image.shape[:2]
    longer = max(height, width)
    square = np.full((longer, longer, 3), _WHITE, np.uint8)
    top, left = (longer - height) // 2, (longer - width) // 2
    square[top : top + height, left : left + width] = image
    scaled = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if longer > side else cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.asarray(scaled, np.float32)[..., ::-1])


def _as_prompt(name: str) -> str:
    return name.replace("_", " ").replace("(", r"\(").replace(")", r"\)")
