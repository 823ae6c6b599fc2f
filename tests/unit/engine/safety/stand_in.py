"""In the place of the packaged Open NSFW: a network that takes for unsafe what is light."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.models.catalogue import CATALOGUE
from engine.safety.checkers import OPEN_NSFW
from tests.unit.engine.plugins.tiny_onnx import mean_of_colours

_SIDE_PX = 224


def lay_stand_in(models_dir: Path, patch: pytest.MonkeyPatch) -> None:
    """Write its file, and have the catalogue know it by its size while `patch` lasts."""
    content, model = mean_of_colours(_SIDE_PX), CATALOGUE[OPEN_NSFW]
    (file,) = model.files
    (models_dir / file.name).write_bytes(content)
    patch.setitem(CATALOGUE, OPEN_NSFW, replace(model, files=(replace(file, size_bytes=len(content)),)))
