"""Widening, narrowing and turning round a mask."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import masks
from engine.images import Bytes
from engine.interface import EngineError, Where
from engine.tasks.adjust_mask import adjust_mask
from protocol.errors import ErrorCode
from protocol.events import OutputReady
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save


def blots(height: int = 36, width: int = 48) -> Bytes:
    """(height, width) uint8: a square inside, and one in a corner."""
    drawn = np.zeros((height, width), np.uint8)
    drawn[10:20, 14:30] = 255
    drawn[-6:, -6:] = 255
    return drawn


def run(path: Path, **params: object) -> Driver:
    return drive(adjust_mask, make_run(TaskName.ADJUST_MASK, params, inputs={"mask": path}))


def adjusted(path: Path, **params: object) -> Bytes:
    made: Bytes = pixels_of(run(path, **params).outputs[0].content)
    return made


def disc(by_px: int) -> Any:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))


@pytest.mark.parametrize("by_px", [0, 1, 3, 5, 40])
def test_expanding_adds_the_disc_that_opencv_draws_and_shrinking_takes_it_off(tmp_path: Path, by_px: int) -> None:
    path = save(tmp_path / "mask.png", blots())
    assert (adjusted(path, operation="expand", by_px=by_px) == cv2.dilate(blots(), disc(by_px))).all()
    assert (adjusted(path, operation="shrink", by_px=by_px) == cv2.erode(blots(), disc(by_px))).all()


def test_a_box_keeps_corners(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", blots())
    wanted = np.zeros_like(blots())
    wanted[6:24, 10:34] = wanted[26:, 38:] = 255
    assert (adjusted(path, operation="expand", by_px=4, shape="box") == wanted).all()


def test_reversing_takes_no_notice_of_the_distance(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png", blots())
    assert (adjusted(path, operation="reverse", by_px=9) == 255 - blots()).all()


@pytest.mark.parametrize(("threshold", "columns"), [(128, 128), (127, 129), (0, 256), (255, 1)])
def test_a_pixel_counts_from_the_threshold_on(tmp_path: Path, threshold: int, columns: int) -> None:
    path = save(tmp_path / "mask.png", np.arange(256, dtype=np.uint8)[None].repeat(4, axis=0))
    made = adjusted(path, operation="expand", by_px=0, threshold=threshold)
    assert (made[:, 256 - columns :] == 255).all()
    assert made.sum() == 4 * columns * 255


def test_the_output_tells_area_and_box(tmp_path: Path) -> None:
    drawn = np.zeros((20, 30), np.uint8)
    drawn[5:9, 10:12] = 255
    ready = run(save(tmp_path / "mask.png", drawn), operation="expand", by_px=0).of_type(OutputReady)[0]
    assert ready.data == {"area_px": 8, "box": {"x": 10, "y": 5, "width": 2, "height": 4}}
    empty = run(save(tmp_path / "empty.png", 0 * drawn), operation="expand").of_type(OutputReady)[0]
    assert empty.data == {"area_px": 0, "box": None}


def test_it_works_beside_the_device(tmp_path: Path) -> None:
    driver = run(save(tmp_path / "mask.png", blots()), operation="expand")
    assert {call.where for call in driver.calls} == {Where.POOL}
    assert driver.pictures[0].shape == (36, 48, 3)


def test_what_is_no_picture_is_a_bad_image(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"no picture")
    with pytest.raises(EngineError) as refused:
        run(path, operation="expand")
    assert refused.value.code is ErrorCode.BAD_IMAGE


@given(st.integers(0, 30), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_dilated_mask_is_what_opencv_makes(by_px: int, height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.03
    assert (masks.dilate(mask, by_px) == (cv2.dilate(mask.view(np.uint8), disc(by_px)) > 0)).all()
