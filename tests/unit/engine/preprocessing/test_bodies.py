"""Bodies out of joints and the fields between them."""

import numpy as np
import pytest

from engine.preprocessing.bodies import JOINTS, LIMBS, Body, find_bodies
from tests.unit.engine.preprocessing.people import STANDING, maps_of


def places(body: Body, width: int = 100, height: int = 110) -> dict[int, tuple[int, int]]:
    return {number: (int(joint.x * width), int(joint.y * height)) for number, joint in sorted(body.joints.items())}


def found(*people: dict[int, tuple[int, int]], width: int = 100, height: int = 110) -> list[dict[int, tuple[int, int]]]:
    maps = maps_of(*people, width=width, height=height)
    return [places(body, width, height) for body in find_bodies(maps.joints, maps.fields)]


def moved(by: int) -> dict[int, tuple[int, int]]:
    return {number: (x + by, y) for number, (x, y) in STANDING.items()}


def test_a_person_is_found_with_every_joint() -> None:
    assert found(STANDING) == [STANDING]


def test_people_side_by_side_stay_apart() -> None:
    pair = found(STANDING, moved(60), moved(120), width=240)
    assert sorted(pair, key=lambda body: body[0]) == [STANDING, moved(60), moved(120)]


def test_what_is_covered_is_left_out() -> None:
    sitting = {number: place for number, place in STANDING.items() if number not in (9, 10, 12, 13, 4)}
    assert found(sitting) == [sitting]


def test_a_body_in_two_pieces_is_one_when_a_limb_joins_them() -> None:
    # Without the neck only the face holds them together, by limbs that come late.
    assert found({number: STANDING[number] for number in (2, 3, 4, 16, 14, 0)}) == [
        {number: STANDING[number] for number in (0, 2, 3, 4, 14, 16)}
    ]


def test_a_few_joints_are_nobody() -> None:
    assert found({number: STANDING[number] for number in (1, 2, 3)}) == []
    assert found({}) == []


def test_a_limb_is_none_where_the_field_goes_another_way() -> None:
    maps = maps_of(STANDING)
    elbow = next(limb for limb in LIMBS if (limb.begin, limb.end) == (2, 3))
    maps.fields[elbow.across : elbow.across + 2] *= -1
    (body,) = find_bodies(maps.joints, maps.fields)
    assert 3 not in body.joints
    assert 8 in body.joints


def test_a_limb_is_none_where_the_field_breaks_off() -> None:
    maps = maps_of(STANDING)
    elbow = next(limb for limb in LIMBS if (limb.begin, limb.end) == (2, 3))
    maps.fields[elbow.across : elbow.across + 2, 35:] = 0
    (body,) = find_bodies(maps.joints, maps.fields)
    assert 3 not in body.joints


def test_faint_joints_do_not_count() -> None:
    maps = maps_of(STANDING)
    assert find_bodies(maps.joints * np.float32(0.09), maps.fields) == []


def test_every_limb_has_fields_of_its_own() -> None:
    assert sorted(limb.across for limb in LIMBS) == list(range(0, 2 * len(LIMBS), 2))
    assert {limb.begin for limb in LIMBS} | {limb.end for limb in LIMBS} == set(range(JOINTS))


@pytest.mark.parametrize("size", [(8, 8), (1, 40)])
def test_an_empty_picture_of_any_size_has_nobody(size: tuple[int, int]) -> None:
    assert find_bodies(np.zeros((18, *size), np.float32), np.zeros((38, *size), np.float32)) == []
