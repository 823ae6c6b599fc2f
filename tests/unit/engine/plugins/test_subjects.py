from pathlib import Path

import numpy as np
import pytest

from engine.images import Picture
from engine.interface import EngineError
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.plugins.subjects import bring_subject_model, spread, subject_share
from engine.steps import run_through
from protocol.editing import BackgroundModel, Clothes
from protocol.errors import ErrorCode


def four_kinds(planes: np.ndarray) -> np.ndarray:
    """Background, and then each kind of clothes in a quarter of the width."""
    side = planes.shape[-1]
    answer = np.zeros((1, 4, side, side), np.float32)
    for kind in range(4):
        answer[0, kind, :, kind * side // 4 : (kind + 1) * side // 4] = 1
    return answer


@pytest.mark.parametrize(
    ("clothes", "quarters"),
    [(Clothes.ALL, {1, 2, 3}), (Clothes.UPPER, {1}), (Clothes.LOWER, {2}), (Clothes.WHOLE, {3})],
)
def test_the_clothes_asked_for_are_the_subject(clothes: Clothes, quarters: set[int]) -> None:
    picture = Picture(np.full((8, 16, 3), 0.5, np.float32))
    share = run_through(subject_share(four_kinds, BackgroundModel.U2NET_CLOTH_SEG, picture, clothes))
    side = share.shape[1]
    assert {quarter for quarter in range(4) if share[0, quarter * side // 4 + 5] == 1} == quarters


def test_what_was_found_lies_over_the_picture_less_where_that_is_transparent() -> None:
    alpha = np.ones((8, 16), np.float32)
    alpha[:, :8] = 0.5
    small = np.full((2, 2), 0.8, np.float32)
    mask = spread(small, Picture(np.zeros((8, 16, 3), np.float32), alpha))
    assert np.allclose(mask[:, :8], 0.4)
    assert np.allclose(mask[:, 8:], 0.8)


@pytest.mark.parametrize(
    ("model", "code"),
    [("silueta", ErrorCode.MODEL_MISSING), ("u2net", ErrorCode.MODEL_MISSING), ("rmbg-2.0", ErrorCode.FORBIDDEN)],
)
def test_what_is_missing_is_known_before_anything_looks(model: str, code: ErrorCode, tmp_path: Path) -> None:
    plugins = PluginFiles(models_dir=tmp_path)
    with pytest.raises(EngineError) as refused:
        run_through(bring_subject_model(BackgroundModel(model), Residency(tmp_path, "cpu"), plugins))
    assert refused.value.code is code
