"""Erase: what is covered goes, everything else stays, hole after hole."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import masks
from engine.inpainting.erasers import Erasers
from engine.interface import EngineError, Where
from engine.models.residency import Residency
from engine.tasks.erase import erase
from protocol.editing import FillMethod
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.params import OutputFormat
from protocol.requests import Previews, TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save, texture

BOXES = [{"x": 20, "y": 20, "width": 30, "height": 30}, {"x": 130, "y": 60, "width": 40, "height": 30}]
RED = (255, 0, 0)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = texture(120, 200)
    for box in BOXES:
        pixels[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = RED
    return save(tmp_path / "image.png", pixels)


def run_erase(picture: Path, mask: Path | None = None, previews: Previews = Previews.ALL, **params: object) -> Driver:
    inputs = {"image": picture} | ({"mask": mask} if mask else {})
    erasers = Erasers(Residency(picture.parent, "cpu"))
    run = make_run(TaskName.ERASE, params, inputs=inputs, previews=previews)
    return drive(lambda run, context: erase(run, context, erasers), run)


def redness(pixels: np.ndarray) -> int:
    return int((pixels[..., 0].astype(int) - pixels[..., 1] > 150).sum())


@pytest.mark.parametrize("method", list(FillMethod))
def test_what_the_regions_cover_is_gone_and_the_rest_is_untouched(picture: Path, method: FillMethod) -> None:
    done = run_erase(picture, regions=BOXES, method=method.value, grow_px=2, feather_px=3)
    before, after = pixels_of(picture.read_bytes()), pixels_of(done.outputs[0].content)
    assert redness(before) == 2100
    assert redness(after) == 0
    near = np.zeros((120, 200), np.bool_)
    for box in BOXES:
        near[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = True
    far = ~masks.grow(near, 2 + 3 + 1)
    assert (after[far] == before[far]).all()
    assert done.warnings == []


def test_a_mask_file_and_regions_add_up(picture: Path, tmp_path: Path) -> None:
    painted = np.zeros((120, 200), np.uint8)
    painted[18:52, 18:52] = 255
    done = run_erase(picture, save(tmp_path / "mask.png", painted), regions=BOXES[1:])
    assert redness(pixels_of(done.outputs[0].content)) == 0


def test_separate_holes_are_steps_with_progress_and_a_preview_each(picture: Path) -> None:
    done = run_erase(picture, regions=BOXES)
    steps = [(body.step, body.steps, body.stage) for body in done.of_type(StepFinished)]
    assert steps == [(1, 2, "fill"), (2, 2, "fill")]
    assert done.progress == sorted(done.progress)
    assert 0 < done.progress[0] < done.progress[1] <= 1
    assert [redness(shown) > 0 for shown in done.pictures] == [True, False]


def test_fills_run_beside_the_device(picture: Path) -> None:
    assert {call.where for call in run_erase(picture, regions=BOXES).calls} == {Where.POOL}


def test_no_preview_is_made_when_none_is_wanted(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("engine.inpainting.canvas.Canvas.thumbnail")
    assert run_erase(picture, regions=BOXES, previews=Previews.NONE).pictures == []


def test_the_same_seed_gives_the_same_file(picture: Path) -> None:
    first, again, other = (run_erase(picture, regions=BOXES, method="patchmatch", seed=seed) for seed in (3, 3, 4))
    assert first.outputs[0].content == again.outputs[0].content
    assert first.outputs[0].content != other.outputs[0].content
    assert first.of_type(OutputReady)[0].seed == 3


def test_an_empty_mask_gives_the_picture_back_with_a_warning(picture: Path, tmp_path: Path) -> None:
    done = run_erase(picture, save(tmp_path / "mask.png", np.zeros((120, 200), np.uint8)))
    assert done.warnings == ["empty_mask"]
    assert (pixels_of(done.outputs[0].content) == pixels_of(picture.read_bytes())).all()


def test_a_mask_over_everything_leaves_nothing_to_fill_from(picture: Path) -> None:
    with pytest.raises(EngineError, match="whole picture") as caught:
        run_erase(picture, regions=[{"x": 0, "y": 0, "width": 200, "height": 120}])
    assert caught.value.code is ErrorCode.INVALID_PARAMS


def test_a_mask_of_another_size_is_refused(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="expected 200 x 120 px"):
        run_erase(picture, save(tmp_path / "mask.png", np.zeros((5, 5), np.uint8)))


def test_alpha_away_from_the_hole_is_kept(tmp_path: Path) -> None:
    pixels = np.dstack([texture(60, 80), np.arange(4800, dtype=np.uint32).reshape(60, 80).astype(np.uint8)])
    done = run_erase(save(tmp_path / "image.png", pixels), regions=[{"x": 30, "y": 20, "width": 20, "height": 20}])
    after = pixels_of(done.outputs[0].content)
    assert (after[:, :20] == pixels[:, :20]).all()
    assert (after[25:35, 35:45] != pixels[25:35, 35:45]).any()


def test_the_mask_is_widened_by_what_was_asked(picture: Path) -> None:
    inner = [
        {"x": box["x"] + 3, "y": box["y"] + 3, "width": box["width"] - 6, "height": box["height"] - 6} for box in BOXES
    ]
    assert redness(pixels_of(run_erase(picture, regions=inner, grow_px=0, feather_px=0).outputs[0].content)) > 0
    assert redness(pixels_of(run_erase(picture, regions=inner, grow_px=5, feather_px=0).outputs[0].content)) == 0


@pytest.mark.parametrize("output_format", [each for each in OutputFormat if each is not OutputFormat.SOURCE])
def test_the_output_has_the_format_asked_for_and_the_size_of_the_input(
    picture: Path, output_format: OutputFormat
) -> None:
    done = run_erase(picture, regions=BOXES, format=output_format.value, method="telea")
    with Image.open(io.BytesIO(done.outputs[0].content)) as written:
        assert written.format == output_format.name
        assert written.size == (200, 120)


def test_an_attempt_after_the_output_was_kept_does_nothing(picture: Path) -> None:
    run = make_run(TaskName.ERASE, {"regions": BOXES}, inputs={"image": picture}, first_image=1)
    erasers = Erasers(Residency(picture.parent, "cpu"))
    assert drive(lambda run, context: erase(run, context, erasers), run).events == []


def test_a_hole_too_large_for_its_resolution_is_told(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inpainting.patchmatch._LONGEST_CALL_S", 0.01)
    assert run_erase(picture, regions=BOXES, method="patchmatch").warnings == ["reduced_resolution"]
