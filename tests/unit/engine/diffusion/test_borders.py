"""Of `engine.diffusion.borders`."""

import numpy as np
import pytest

from engine.diffusion.borders import Borders
from engine.images import Floats
from engine.interface import EngineError


@pytest.fixture
def photo() -> Floats:
    return np.random.default_rng(3).random((90, 140, 3), np.float32)


def test_a_larger_canvas_repeats_the_edges(photo: Floats) -> None:
    wide = Borders(left=40, top=3, bottom=7).repeated(photo)
    assert wide.shape == (100, 180, 3)
    assert np.array_equal(wide[3:93, 40:], photo)
    assert (wide[3:93, :40] == photo[:, :1]).all()
    assert (wide[0, 40:] == photo[0]).all()


def test_a_blurred_canvas_holds_the_picture_and_goes_on_from_its_edges(photo: Floats) -> None:
    photo[:, :30] = 0.25
    wide = Borders(left=40, bottom=7).blurred(photo)
    assert wide.shape == (97, 180, 3)
    assert np.array_equal(wide[:90, 40:], photo)
    assert wide[:80, :20] == pytest.approx(0.25, abs=0.02)


def test_what_is_new_is_repainted() -> None:
    mask = Borders(left=2, bottom=1).masked(np.zeros((3, 4), np.bool_))
    assert mask.tolist() == [[True, True, False, False, False, False]] * 3 + [[True] * 6]


def test_a_picture_that_would_become_too_large_is_refused() -> None:
    borders = Borders(left=4096, right=4096)
    borders.check(16_384 - 8192, 10)
    with pytest.raises(EngineError, match=r"expected a result of at most 16384 px a side, got 16385 x 10"):
        borders.check(16_385 - 8192, 10)
    assert not Borders()
