import numpy as np
import pytest

from engine.describing.faces import FaceFinder, best_places, decode_boxes, decode_points
from tests.unit.engine.networks import ball


def test_a_hot_cell_becomes_a_box_around_its_place():
    heat = np.zeros((10, 12), np.float32)
    heat[3, 5] = 0.9
    sizes = np.full((2, 10, 12), np.log(6), np.float32)
    sizes[1] = np.log(4)
    offsets = np.full((2, 10, 12), 0.25, np.float32)
    boxes, scores = decode_boxes(heat, sizes, offsets, 0.5)
    # Centre (5.75, 3.75) cells of 4 px; 16 px wide, 24 px high.
    assert boxes.tolist() == [[15.0, 3.0, 31.0, 27.0]]
    assert scores.tolist() == pytest.approx([0.9])


def test_cells_below_the_confidence_are_no_faces():
    boxes, scores = decode_boxes(np.full((4, 4), 0.4, np.float32), *np.zeros((2, 2, 4, 4), np.float32), 0.5)
    assert len(boxes) == len(scores) == 0


def test_of_boxes_that_overlap_the_best_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40]], np.float32)
    assert best_places(boxes, np.array([0.6, 0.9, 0.7], np.float32)) == [1, 2]


def test_boxes_that_only_touch_both_stay():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], np.float32)
    assert best_places(boxes, np.array([0.6, 0.9], np.float32)) == [1, 0]


def test_points_are_shares_of_their_box():
    landmarks = np.zeros((10, 1), np.float32)
    landmarks[2:4, 0] = 0.5, 0.25  # the second point: half way down, a quarter across
    points = decode_points(landmarks, np.array([[10, 20, 50, 60]], np.float32))
    assert points.tolist() == [[[10, 20], [20, 40], [10, 20], [10, 20], [10, 20]]]


@pytest.mark.models
@pytest.mark.parametrize("size", [(320, 240), (33, 500), (8, 8), (2000, 900)])
def test_the_real_network_takes_any_size_and_finds_no_face_on_a_ball(size, models_dir):
    width, height = size
    assert FaceFinder(models_dir / "centerface.onnx").find(ball(width, height)[0]) == []
