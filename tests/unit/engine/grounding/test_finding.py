"""Finding by words as a whole: the detector of a folder on disk, and a stand-in for what cuts its boxes out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.grounding import finding
from engine.grounding.finding import FoundObject, bring_finders, find_objects, together
from engine.images import Picture
from engine.interface import Call, EngineError, Steps
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.segmentation.segmenter import SegmentedMask
from engine.steps import run_through
from protocol.errors import ErrorCode
from protocol.requests import TaskName
from protocol.segmenting import SegmentModel, WordSearch
from tests.tiny_detector import save_detector
from tests.unit.engine.driver import Driver, make_run

PICTURE = Picture(np.random.default_rng(0).random((20, 160, 3), np.float32))


class Boxes:
    """Fills the box it is given."""

    def prepare(self, _rgb: Any) -> Any:
        return torch.zeros(1)

    def encoder_pieces(self) -> list[Any]:
        return [lambda value: value]

    def decode(self, _embedding: Any, size: tuple[int, int], _clicks: Any, box: Any, _count: int) -> Any:
        mask = np.zeros(size, np.bool_)
        mask[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = True
        return [SegmentedMask(mask, 0.9)]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_detector(folder / "plugins" / "grounding-dino-tiny")
    return folder


@pytest.fixture(autouse=True)
def _cuts_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def use(*_: Any) -> Any:
        yield from ()
        return Boxes()

    monkeypatch.setattr(finding, "use_segmenter", use)


def found(models_dir: Path, residency: Residency | None = None, **search: Any) -> tuple[Sequence[FoundObject], Driver]:
    driver = Driver(make_run(TaskName.SEGMENT, {"image": "upload:x", "text": "x"}))
    kept: list[Sequence[FoundObject]] = []

    def steps() -> Steps:
        asked = WordSearch(**{"text": "face, red hats", "box_threshold": 0.1, **search})
        plugins = PluginFiles(models_dir=models_dir)
        shelf = residency or Residency(models_dir, "cpu")
        kept.append((yield from find_objects(PICTURE, asked, SegmentModel.SAM_VIT_B, driver, shelf, plugins)))

    driver.drive(steps())
    return kept[0], driver


def test_what_the_detector_of_the_models_folder_finds_is_cut_out(models_dir: Path) -> None:
    objects, driver = found(models_dir)
    assert len(objects) > 1
    scores = [each.score for each in objects]
    assert scores == sorted(scores, reverse=True)
    for each in objects:
        box = each.box
        assert 0 <= box.x < box.x + box.width <= PICTURE.width
        assert 0 <= box.y < box.y + box.height <= PICTURE.height
        assert each.mask.sum() == box.width * box.height
    union = together(objects, PICTURE)
    assert union.any()
    assert all(not (each.mask & ~union).any() for each in objects)
    stages = [call.stage for call in driver.calls]
    assert stages[0] == "load"
    assert stages.count("detect") == 10
    assert stages.count("decode") == len(objects)
    assert driver.progress == sorted(driver.progress)


def test_the_detector_stays_in_memory_for_the_next_search(models_dir: Path) -> None:
    residency = Residency(models_dir, "cpu")
    first, _ = found(models_dir, residency)
    again, driver = found(models_dir, residency)
    assert "load" not in [call.stage for call in driver.calls]
    assert [each.data() for each in again] == [each.data() for each in first]
    assert residency.names == ("grounding-dino-tiny",)


def test_nothing_found_is_not_cut_out(models_dir: Path) -> None:
    objects, driver = found(models_dir, box_threshold=1.0)
    assert list(objects) == []
    assert "decode" not in [call.stage for call in driver.calls]
    assert not together(objects, PICTURE).any()


def test_what_a_search_needs_is_known_before(models_dir: Path, tmp_path: Path) -> None:
    def bring(folder: Path, text: str = "face") -> list[Call]:
        search, plugins = WordSearch(text=text), PluginFiles(models_dir=folder)
        return list(bring_finders(search, SegmentModel.SAM_VIT_B, Residency(folder, "cpu"), plugins))

    for folder, text, code, message in (
        (models_dir, "face", ErrorCode.MODEL_MISSING, "sam_vit_b"),
        (models_dir, " . ", ErrorCode.INVALID_PARAMS, "expected names"),
    ):
        with pytest.raises(EngineError, match=message) as refused:
            bring(folder, text)
        assert refused.value.code is code
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"weights")
    with pytest.raises(EngineError, match="grounding-dino-tiny"):
        bring(tmp_path)


def test_a_look_by_itself_is_that_of_the_calls(models_dir: Path) -> None:
    plugins, residency = PluginFiles(models_dir=models_dir), Residency(models_dir, "cpu")
    driver = Driver(make_run(TaskName.SEGMENT, {"image": "upload:x", "text": "x"}))
    search = WordSearch(text="face, red hats", box_threshold=0.1, max_detections=1)
    (only,) = run_through(find_objects(PICTURE, search, SegmentModel.SAM_VIT_B, driver, residency, plugins))
    assert only.data() == found(models_dir)[0][0].data()
