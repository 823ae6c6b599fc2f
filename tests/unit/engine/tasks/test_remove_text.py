"""Remove text: writing goes, what it stands on stays."""

from pathlib import Path

import numpy as np
import pytest

from engine.images import Bytes
from engine.interface import Where
from engine.tasks.remove_text import remove_text
from engine.text.detect import READER
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save, texture, writing

pytest.importorskip("rapidocr")


def run_on(tmp_path: Path, pixels: Bytes, **params: object) -> Driver:
    path = save(tmp_path / "image.png", pixels)
    return drive(remove_text, make_run(TaskName.REMOVE_TEXT, params, inputs={"image": path}))


def regions_of(done: Driver) -> list[dict[str, object]]:
    (output,) = done.of_type(OutputReady)
    found: list[dict[str, object]] = output.data["regions"]
    return found


def distance(one: Bytes, other: Bytes) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_found_writing_is_removed_and_told(tmp_path: Path) -> None:
    clean, image = writing("KEEP OUT")
    done = run_on(tmp_path, image)
    after = pixels_of(done.outputs[0].content)
    letters = np.abs(clean.astype(int) - image).sum(axis=2) > 60
    assert distance(image[letters], clean[letters]) > 80
    assert distance(after[letters], clean[letters]) < 15
    assert [line.text for line in READER.read(after) if line.confidence > 0.5] == []
    (region,) = regions_of(done)
    assert str(region["text"]).replace(" ", "") == "KEEPOUT"
    assert region.keys() == {"x", "y", "width", "height", "text", "confidence"}
    assert done.warnings == []


def test_pixels_away_from_the_writing_stay_exactly_as_they_were(tmp_path: Path) -> None:
    _, image = writing("KEEP OUT")
    after = pixels_of(run_on(tmp_path, image).outputs[0].content)
    assert (after[:40] == image[:40]).all()
    assert (after[:, :60] == image[:, :60]).all()


def test_it_detects_first_and_then_fills_group_by_group(tmp_path: Path) -> None:
    top, bottom = writing("NORTH GATE")[1], writing("SOUTH GATE")[1]
    done = run_on(tmp_path, np.vstack([top, bottom]))
    steps = [(body.stage, body.step, body.steps) for body in done.of_type(StepFinished)]
    assert steps == [("detect", 1, 1), ("fill", 1, 2), ("fill", 2, 2)]
    assert done.progress == sorted(done.progress)
    assert len(done.pictures) == 2
    assert {call.where for call in done.calls} == {Where.POOL}


def test_without_writing_the_picture_comes_back_unchanged(tmp_path: Path) -> None:
    pixels = texture()
    done = run_on(tmp_path, pixels)
    assert done.warnings == ["nothing_found"]
    assert regions_of(done) == []
    assert (pixels_of(done.outputs[0].content) == pixels).all()


def test_writing_below_the_confidence_asked_for_stays(tmp_path: Path) -> None:
    _, image = writing("KEEP OUT")
    done = run_on(tmp_path, image, min_confidence=1.0)
    assert done.warnings == ["nothing_found"]
    assert (pixels_of(done.outputs[0].content) == image).all()


def test_asked_for_the_mask_it_finds_and_fills_nothing(tmp_path: Path) -> None:
    clean, image = writing("KEEP OUT")
    done = run_on(tmp_path, image, result="mask")
    mask = pixels_of(done.outputs[0].content)
    letters = np.abs(clean.astype(int) - image).sum(axis=2) > 60
    assert mask.shape[:2] == image.shape[:2]
    assert mask[letters].min() == 255
    assert mask[:40].max() == 0
    (region,) = regions_of(done)
    assert str(region["text"]).replace(" ", "") == "KEEPOUT"
    assert [body.stage for body in done.of_type(StepFinished)] == ["detect"]


def test_without_writing_the_mask_is_empty(tmp_path: Path) -> None:
    done = run_on(tmp_path, texture(), result="mask")
    assert done.warnings == ["nothing_found"]
    assert pixels_of(done.outputs[0].content).max() == 0


def test_only_given_regions_are_touched(tmp_path: Path) -> None:
    top, bottom = writing("NORTH GATE")[1], writing("SOUTH GATE")[1]
    image = np.vstack([top, bottom])
    region = {"x": 30, "y": 40, "width": 360, "height": 80}
    done = run_on(tmp_path, image, regions=[region])
    after = pixels_of(done.outputs[0].content)
    assert [line.text.replace(" ", "") for line in READER.read(after) if line.confidence > 0.5] == ["SOUTHGATE"]
    assert (after[160:] == image[160:]).all()
    (told,) = regions_of(done)
    assert {name: told[name] for name in region} == region
    assert str(told["text"]).replace(" ", "") == "NORTHGATE"


def test_of_a_line_that_leaves_its_region_only_the_part_inside_is_removed(tmp_path: Path) -> None:
    _, image = writing("NORTH GATE")
    done = run_on(tmp_path, image, regions=[{"x": 30, "y": 40, "width": 180, "height": 80}], feather_px=0)
    after = pixels_of(done.outputs[0].content)
    assert (after[:, 212:] == image[:, 212:]).all()
    assert (after[60:100, 90:200] != image[60:100, 90:200]).any()


def test_black_writing_on_transparency_is_found_and_leaves_transparency(tmp_path: Path) -> None:
    clean, image = writing("KEEP OUT")
    letters = np.abs(clean.astype(int) - image).sum(axis=2) > 60
    pixels = np.zeros((160, 420, 4), np.uint8)
    pixels[..., 3] = letters * 255
    done = run_on(tmp_path, pixels)
    assert len(regions_of(done)) == 1
    assert pixels_of(done.outputs[0].content)[..., 3].max() < 8


def test_a_given_region_that_cannot_be_read_is_removed_all_the_same(tmp_path: Path) -> None:
    pixels = np.full((120, 200, 3), 200, np.uint8)
    pixels[50:70:6, 60:140] = 20
    done = run_on(tmp_path, pixels, regions=[{"x": 50, "y": 40, "width": 100, "height": 40}])
    assert pixels_of(done.outputs[0].content)[45:75, 60:140].min() > 150
    (told,) = regions_of(done)
    assert (told["text"], told["confidence"]) == ("", None)


def test_a_region_outside_the_picture_finds_nothing(tmp_path: Path) -> None:
    done = run_on(tmp_path, texture(), regions=[{"x": 500, "y": 0, "width": 9, "height": 9}])
    assert done.warnings == ["nothing_found"]
