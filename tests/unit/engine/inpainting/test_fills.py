"""Every way of filling holes keeps the same promises."""

import threading

import cv2
import numpy as np
import pytest

from engine.images import Bytes
from engine.inpainting import patchmatch as patchmatch_module
from engine.inpainting import registry
from engine.inpainting.base import Fill, NothingToFillFrom
from engine.masks import Mask
from protocol.editing import FillMethod
from tests.unit.engine.pictures import texture


@pytest.fixture(params=list(registry.FILLS))
def fill(request: pytest.FixtureRequest) -> Fill:
    return registry.FILLS[request.param]


def hole(height: int = 96, width: int = 128) -> Mask:
    mask = np.zeros((height, width), np.bool_)
    mask[30:60, 40:80] = True
    return mask


def test_a_fill_leaves_everything_outside_the_hole_as_it_was(fill: Fill) -> None:
    image, mask = texture(), hole()
    assert (fill.fill(image, mask, 0)[~mask] == image[~mask]).all()


def test_what_the_hole_covers_has_no_influence(fill: Fill) -> None:
    image, mask = texture(), hole()
    other = image.copy()
    other[mask] = (255, 0, 255)
    assert (fill.fill(image, mask, 0) == fill.fill(other, mask, 0)).all()


def test_a_fill_resembles_its_surroundings(fill: Fill) -> None:
    image, mask = np.full((96, 128, 3), (200, 120, 40), np.uint8), hole()
    damaged = image.copy()
    damaged[mask] = 0
    # Telea carries a rounding error with every pixel it goes inwards.
    assert np.abs(fill.fill(damaged, mask, 0).astype(int) - image).max() <= 5


def test_a_hole_as_large_as_the_picture_has_nothing_to_fill_from(fill: Fill) -> None:
    with pytest.raises(NothingToFillFrom):
        fill.fill(texture(), np.ones((96, 128), np.bool_), 0)


@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (3, 9), (8, 8), (40, 5)])
def test_tiny_pictures_are_filled_too(fill: Fill, shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.bool_)
    mask[0, 0] = True
    filled = fill.fill(np.full((*shape, 3), 180, np.uint8), mask, 0)
    assert np.abs(filled.astype(int) - 180).max() <= 1


@pytest.mark.parametrize("kept", [1, 3, 8])
def test_a_hole_that_leaves_only_a_strip_is_not_filled_with_black(fill: Fill, kept: int) -> None:
    mask = np.ones((64, 64), np.bool_)
    mask[:, :kept] = False
    assert fill.fill(np.full((64, 64, 3), 200, np.uint8), mask, 0).min() >= 150


def test_fills_at_the_same_time_give_the_pixels_of_each_alone(fill: Fill) -> None:
    image, mask = texture(), hole()
    seeds = [0, 1, 0, 2, 1, 0]
    alone = {seed: fill.fill(image, mask, seed) for seed in set(seeds)}
    together: list[Bytes | None] = [None] * len(seeds)
    gate = threading.Barrier(len(seeds))

    def work(index: int) -> None:
        gate.wait()
        together[index] = fill.fill(image, mask, seeds[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(seeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, filled in zip(seeds, together, strict=True):
        assert filled is not None
        assert (filled == alone[seed]).all()


def test_another_seed_gives_another_patchmatch_fill() -> None:
    image, mask = texture(), hole()
    assert (registry.PATCHMATCH.fill(image, mask, 0) != registry.PATCHMATCH.fill(image, mask, 1)).any()


def test_a_hole_that_would_take_too_long_is_filled_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    inpaint = patchmatch_module.patchmatch.inpaint

    def watched(image: Bytes, mask: Mask, **options: object) -> Bytes:
        seen.append(image.shape)
        filled: Bytes = inpaint(image, mask, **options)
        return filled

    monkeypatch.setattr(patchmatch_module.patchmatch, "inpaint", watched)
    monkeypatch.setattr(patchmatch_module, "_LONGEST_CALL_S", 0.01)
    image, mask = cv2.GaussianBlur(texture(), (0, 0), 3), hole()
    assert registry.PATCHMATCH.is_coarse(mask)
    filled = registry.PATCHMATCH.fill(image, mask, 0)
    assert [shape[0] < 96 for shape in seen] == [True]
    assert (filled[~mask] == image[~mask]).all()
    assert np.abs(filled.astype(int) - image).mean() < 10


@pytest.mark.parametrize(("width", "name"), [(3, "telea"), (30, "patchmatch")])
def test_auto_takes_telea_for_thin_holes_only(width: int, name: str) -> None:
    mask = np.zeros((96, 128), np.bool_)
    mask[10:80, 40 : 40 + width] = True
    assert registry.choose(FillMethod.AUTO, mask).name == name


@pytest.mark.parametrize("method", [FillMethod.PATCHMATCH, FillMethod.TELEA, FillMethod.NAVIER_STOKES])
def test_a_method_that_is_asked_for_is_taken_whatever_the_hole(method: FillMethod) -> None:
    assert registry.choose(method, hole()).name == method.value
