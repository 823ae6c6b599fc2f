"""Faces that are taken for prompts: found, turned upright and cut out, with a stand-in for the finder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.describing.faces import Face, FaceWithPoints
from engine.diffusion.prompt_faces import faces_taken
from engine.images import Bytes, Floats, from_uint8
from engine.interface import Call
from engine.models.residency import Residency
from engine.plugins import alignment
from protocol.guides import ImagePromptRef, Shown
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import texture

TEMPLATE = np.array([[193, 240], [319, 240], [257, 314], [201, 371], [313, 371]], np.float32)
PICTURE = texture(200, 400)
OTHER = texture(40, 40)


class Desk(Residency):
    """Has a finder that finds faces of these places and scales instead of the packaged one."""

    def __init__(self, *places: tuple[float, float, float]) -> None:
        super().__init__(Path(), "cpu")
        self._places = places
        self.asked = 0

    def use(self, name: str, load: object) -> Any:
        assert name == "centerface"
        self.asked += 1
        return (yield Call(lambda: self, stage="load"))

    def find_with_points(self, _image: Bytes) -> list[FaceWithPoints]:
        return [
            FaceWithPoints(
                Face(x=int(x), y=int(y), width=int(300 * scale), height=int(400 * scale), confidence=0.9),
                (TEMPLATE * scale + (x, y)).astype(np.float32),
            )
            for x, y, scale in self._places
        ]


def taken(desk: Desk, *kinds: Shown) -> tuple[Driver, Sequence[Floats]]:
    refs = [ImagePromptRef(model="m", image="upload:x", kind=kind) for kind in kinds]
    got: list[Sequence[Floats]] = []

    def work(_run: Any, context: Any) -> Any:
        got.append((yield from faces_taken(refs, [from_uint8(PICTURE), from_uint8(OTHER)][: len(refs)], desk, context)))

    run = make_run(TaskName.TEXT_TO_IMAGE, {"prompt": "a cat"})
    return drive(work, run), got[0]


def test_the_largest_face_is_taken_upright_in_its_square() -> None:
    points = (TEMPLATE * 0.4 + (180, 5)).astype(np.float32)
    matrix = alignment.placement(points)
    assert matrix is not None
    driver, (face,) = taken(Desk((10, 10, 0.1), (180, 5, 0.4)), Shown.FACE)
    assert np.array_equal(face, from_uint8(alignment.take_out(PICTURE, matrix)))
    assert driver.warnings == []
    assert "find" in {call.stage for call in driver.calls}


def test_without_a_face_all_of_the_picture_is_taken_and_told() -> None:
    driver, (whole,) = taken(Desk(), Shown.FACE)
    assert np.array_equal(whole, from_uint8(PICTURE))
    assert driver.warnings == ["face_not_found"]


def test_a_face_of_a_few_pixels_is_none() -> None:
    driver, _ = taken(Desk((10, 10, 0.03)), Shown.FACE)
    assert driver.warnings == ["face_not_found"]


def test_pictures_are_left_alone_and_nothing_is_loaded_for_them() -> None:
    desk = Desk((180, 5, 0.4))
    _, (first, second) = taken(desk, Shown.PICTURE, Shown.FACE)
    assert np.array_equal(first, from_uint8(PICTURE))
    assert second.shape == (512, 512, 3)
    assert desk.asked == 1
    taken(desk, Shown.PICTURE)
    assert desk.asked == 1
