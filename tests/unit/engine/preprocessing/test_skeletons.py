"""Skeletons: their colours, and where they are drawn."""

import numpy as np

from engine.preprocessing.bodies import Body, Joint, find_bodies
from engine.preprocessing.skeletons import colours, draw_skeletons
from tests.unit.engine.preprocessing.people import STANDING, maps_of


def test_colours_go_once_round_the_hues() -> None:
    assert colours()[:4] == ((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0))
    assert colours()[6] == (0, 255, 0)
    assert colours()[12] == (0, 0, 255)
    assert colours()[-1] == (255, 0, 85)


def test_a_limb_is_drawn_dimmed_between_two_joints() -> None:
    body = Body({1: Joint(0.25, 0.5, 1.0), 2: Joint(0.75, 0.5, 1.0)})
    drawn = np.round(draw_skeletons([body], 512, 512) * 255).astype(np.uint8)
    assert drawn.shape == (512, 512, 3)
    assert drawn[256, 256].tolist() == [153, 0, 0], "neck to right shoulder is red"
    assert drawn[256, 128].tolist() == [255, 85, 0]
    assert drawn[256, 384].tolist() == [255, 170, 0]
    assert drawn[256 + 4, 256].any()
    assert not drawn[256 + 5 :, 256].any(), "it is four pixels to each side"
    assert not drawn[:, :123].any()
    assert not drawn[:, 390:].any()


def test_a_joint_alone_is_a_dot() -> None:
    drawn = draw_skeletons([Body({0: Joint(0.5, 0.5, 1.0)})], 100, 60)
    assert drawn[30, 50].tolist() == [1.0, 0.0, 0.0]
    assert np.count_nonzero(drawn.any(axis=2)) < 20


def test_limbs_from_shoulders_to_ears_are_not_drawn() -> None:
    assert not draw_skeletons([Body({2: Joint(0.1, 0.5, 1.0), 16: Joint(0.9, 0.5, 1.0)})], 100, 100)[:, 40:60].any()


def test_nobody_is_black() -> None:
    assert not draw_skeletons([], 20, 10).any()


def test_what_was_found_is_drawn_where_it_is_in_a_larger_picture() -> None:
    maps = maps_of(STANDING)
    drawn = draw_skeletons(find_bodies(maps.joints, maps.fields), 1000, 1100)
    for x, y in STANDING.values():
        assert drawn[y * 10 - 3 : y * 10 + 14, x * 10 - 3 : x * 10 + 14].any()
