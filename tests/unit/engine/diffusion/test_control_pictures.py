"""What ControlNets are shown, made of other pictures."""

import cv2
import numpy as np
import pytest

from engine.diffusion.control_pictures import Subject, control_picture
from engine.images import from_uint8
from protocol.guides import ControlRef

STEP = np.zeros((16, 16, 3), np.float32)
STEP[:, 8:] = 1.0
HOLE = np.zeros((16, 16), np.float32)
HOLE[4:8, 4:12] = 1.0


def ref(preprocess, **more):
    given = {} if preprocess == "inpaint" else {"image": "upload:x"}
    return ControlRef(model="m", preprocess=preprocess, **given, **more)


def test_edges_are_white_on_black_where_the_picture_changes():
    edges = control_picture(ref("canny"), Subject(STEP))
    assert edges.shape == STEP.shape
    assert set(np.unique(edges)) == {0.0, 1.0}
    columns = np.flatnonzero(edges[..., 0].any(axis=0))
    assert set(columns) <= {7, 8}
    assert len(columns) > 0


def test_a_change_too_faint_is_no_edge():
    assert not control_picture(ref("canny"), Subject(STEP * np.float32(20 / 255))).any()


def test_the_hole_is_left_out_and_all_else_is_as_it_was():
    shown = control_picture(ref("inpaint"), Subject(STEP, HOLE))
    assert (shown[HOLE > 0] == -1).all()
    assert np.array_equal(shown[HOLE == 0], STEP[HOLE == 0])


def test_a_control_picture_that_is_one_stays_as_it_is():
    assert control_picture(ref("none"), Subject(STEP, HOLE)) is STEP


def test_thresholds_decide_what_is_too_faint():
    faint = Subject(STEP * np.float32(20 / 255))
    for preprocess in ("canny", "pyra_canny"):
        assert not control_picture(ref(preprocess), faint).any()
        assert control_picture(ref(preprocess, canny_low=5, canny_high=10), faint).any()
    strong = Subject(STEP * np.float32(40 / 255))
    assert control_picture(ref("pyra_canny"), strong).any(), "the thresholds of Fooocus are lower"
    assert not control_picture(ref("canny"), strong).any()


@pytest.mark.parametrize("preprocess", ["canny", "pyra_canny"])
def test_each_threshold_counts_alone(preprocess):
    noise = np.random.default_rng(3).integers(0, 256, (60, 60, 3), np.uint8)
    photo = Subject(from_uint8(cv2.GaussianBlur(noise, (0, 0), 1.5)))
    usual, *others = (
        control_picture(ref(preprocess, **more), photo) for more in ({}, {"canny_low": 20}, {"canny_high": 250})
    )
    assert all(not np.array_equal(other, usual) for other in others)


def test_shades_keep_apart_colours_of_the_same_brightness():
    picture = np.zeros((32, 32, 3), np.float32)
    picture[:, :16], picture[:, 16:] = (0.0, 0.44, 0.0), (0.86, 0.0, 0.0)  # as bright as each other, by eye
    shades = control_picture(ref("cpds"), Subject(picture))
    assert shades.shape == picture.shape
    assert abs(float(shades[:, 2:12].mean() - shades[:, 20:30].mean())) > 0.5
