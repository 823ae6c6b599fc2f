"""Of `engine.diffusion.histograms`."""

import numpy as np
import pytest

from engine.diffusion.histograms import matched
from engine.images import Floats


@pytest.fixture
def photo() -> Floats:
    return (np.random.default_rng(5).random((40, 50, 3)) * 0.6 + 0.2).astype(np.float32)


def outside() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    where = np.ones((40, 50), np.bool_)
    where[10:30, 10:40] = False
    return where


def test_a_tint_that_the_model_gave_everything_is_taken_back(photo: Floats) -> None:
    tinted = photo * np.float32(0.8) + np.asarray((0.1, 0.0, 0.15), np.float32)
    restored = matched(tinted, photo, where=outside())
    assert np.abs(restored - photo).max() < 0.03


def test_what_was_kept_well_is_left_alone(photo: Floats) -> None:
    changed = photo.copy()
    changed[~outside()] = 0.9  # brighter than anything outside
    assert np.array_equal(matched(changed, photo, where=outside()), changed)


def test_without_anything_to_compare_nothing_changes(photo: Floats) -> None:
    assert matched(photo, 1 - photo, where=np.zeros((40, 50), np.bool_)) is photo


def test_values_stay_in_range(photo: Floats) -> None:
    made = np.clip(photo * 3 - 1, 0, 1).astype(np.float32)
    result = matched(made, photo, where=outside())
    assert result.min() >= 0
    assert result.max() <= 1
    assert result.dtype == np.float32
