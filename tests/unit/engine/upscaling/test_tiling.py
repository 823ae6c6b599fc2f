import numpy as np
import pytest

from engine.upscaling.tiling import Span, cut, widen

WHOLE = Span(0, 0, 100, 257)


@pytest.mark.parametrize("tile_px", [32, 64, 100, 257, 1000])
def test_tiles_cover_every_pixel_once(tile_px):
    covered = np.zeros((WHOLE.height, WHOLE.width), int)
    for tile in cut(WHOLE, tile_px):
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert tile.height <= tile_px
        assert tile.width <= tile_px
    assert (covered == 1).all()


def test_a_picture_of_one_pixel_is_one_tile():
    assert cut(Span(0, 0, 1, 1), 32) == [Span(0, 0, 1, 1)]


def test_tiles_are_about_equal():
    areas = [tile.area for tile in cut(WHOLE, 64)]
    assert max(areas) < 1.1 * min(areas)


def test_a_span_cut_again_stays_within_itself():
    inner = Span(10, 20, 50, 90)
    assert sum(tile.area for tile in cut(inner, 32)) == inner.area
    assert all(tile.top >= 10 and tile.left >= 20 and tile.bottom <= 50 for tile in cut(inner, 32))


def test_a_margin_ends_at_the_edge_of_the_picture():
    assert widen(Span(0, 50, 40, 100), 8, WHOLE) == Span(0, 42, 48, 108)
    assert widen(Span(90, 250, 100, 257), 8, WHOLE) == Span(82, 242, 100, 257)
