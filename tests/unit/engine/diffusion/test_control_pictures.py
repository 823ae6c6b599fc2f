"""What ControlNets are shown, made of other pictures."""

import numpy as np

from engine.diffusion.control_pictures import Subject, control_picture
from protocol.guides import Preprocess

STEP = np.zeros((16, 16, 3), np.float32)
STEP[:, 8:] = 1.0
HOLE = np.zeros((16, 16), np.float32)
HOLE[4:8, 4:12] = 1.0


def test_edges_are_white_on_black_where_the_picture_changes():
    edges = control_picture(Preprocess.CANNY, Subject(STEP))
    assert edges.shape == STEP.shape
    assert set(np.unique(edges)) == {0.0, 1.0}
    columns = np.flatnonzero(edges[..., 0].any(axis=0))
    assert set(columns) <= {7, 8}
    assert len(columns) > 0


def test_a_change_too_faint_is_no_edge():
    assert not control_picture(Preprocess.CANNY, Subject(STEP * np.float32(20 / 255))).any()


def test_the_hole_is_left_out_and_all_else_is_as_it_was():
    shown = control_picture(Preprocess.INPAINT, Subject(STEP, HOLE))
    assert (shown[HOLE > 0] == -1).all()
    assert np.array_equal(shown[HOLE == 0], STEP[HOLE == 0])


def test_a_control_picture_that_is_one_stays_as_it_is():
    assert control_picture(Preprocess.NONE, Subject(STEP, HOLE)) is STEP
