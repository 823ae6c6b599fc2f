"""Control pictures that take a network: whose files they are, and what is said where they are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.images import Floats
from engine.interface import EngineError
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.preprocessing import pose_network
from engine.preprocessing.bodies import find_bodies
from engine.preprocessing.depth_network import load_depth_network, nearness
from engine.preprocessing.networks import seen_by_network
from engine.preprocessing.pose_network import Maps
from engine.preprocessing.skeletons import draw_skeletons
from protocol.errors import ErrorCode
from protocol.guides import Preprocess
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.preprocessing.people import STANDING, maps_of
from tests.unit.engine.preprocessing.test_depth_network import put
from tests.unit.engine.preprocessing.test_pose_network import state

PICTURE = np.random.default_rng(5).random((110, 100, 3), np.float32)


def seen(preprocess: Preprocess, models_dir: Path, *, is_private: bool = True) -> tuple[Driver, Floats]:
    plugins = PluginFiles(models_dir=models_dir, allows_noncommercial=is_private)
    residency = Residency(models_dir, "cpu")
    got: list[Floats] = []

    def work(_run: Any, context: Any) -> Any:
        got.append((yield from seen_by_network(preprocess, PICTURE, residency, plugins, context)))

    return drive(work, make_run(TaskName.TEXT_TO_IMAGE, {"prompt": "a cat"})), got[0]


def test_depth_is_that_of_the_network_in_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "plugins" / "dpt-large", "dpt-large", side=40)
    driver, made = seen(Preprocess.DEPTH, tmp_path)
    network = load_depth_network(tmp_path / "plugins" / "dpt-large" / "model.safetensors", "cpu")
    assert np.array_equal(made, nearness(network, PICTURE))
    assert "preprocess" in {call.stage for call in driver.calls}


def test_of_two_networks_for_depth_the_better_is_taken(tmp_path: Path) -> None:
    for name in ("dpt-large", "dpt-hybrid-midas"):
        put(tmp_path / name, name, side=64)
    network = load_depth_network(tmp_path / "dpt-hybrid-midas" / "model.safetensors", "cpu")
    assert np.array_equal(seen(Preprocess.DEPTH, tmp_path)[1], nearness(network, PICTURE))


def test_without_a_network_for_depth_the_job_fails_and_says_which_files_go_where(tmp_path: Path) -> None:
    told = "put config.json and model.safetensors of Intel/dpt-hybrid-midas into the folder 'plugins/dpt-hybrid-midas'"
    with pytest.raises(EngineError, match=told) as missing:
        seen(Preprocess.DEPTH, tmp_path)
    assert missing.value.code is ErrorCode.MODEL_MISSING


def test_poses_are_drawn_in_the_size_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(state(), tmp_path / "body_pose_model.pth")
    looked: list[Floats] = []

    def look(_network: Any, picture: Floats) -> Maps:
        looked.append(picture)
        return maps_of(STANDING)

    monkeypatch.setattr(pose_network, "look", look)
    driver, made = seen(Preprocess.OPENPOSE, tmp_path)
    assert np.array_equal(looked[0], PICTURE)
    maps = maps_of(STANDING)
    assert np.array_equal(made, draw_skeletons(find_bodies(maps.joints, maps.fields), 100, 110))
    assert made.any()
    assert driver.warnings == []


def test_a_picture_of_nobody_is_black_and_told(tmp_path: Path) -> None:
    silent = {name: tensor * 0 for name, tensor in state().items()}
    torch.save(silent, tmp_path / "body_pose_model.pth")
    driver, made = seen(Preprocess.OPENPOSE, tmp_path)
    assert not made.any()
    assert made.shape == PICTURE.shape
    assert driver.warnings == ["pose_not_found"]


def test_poses_take_a_file_and_leave_to_use_it(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"body_pose_model\.pth from .*Annotators") as missing:
        seen(Preprocess.OPENPOSE, tmp_path)
    assert missing.value.code is ErrorCode.MODEL_MISSING
    torch.save(state(), tmp_path / "body_pose_model.pth")
    with pytest.raises(EngineError, match="commercial") as refused:
        seen(Preprocess.OPENPOSE, tmp_path, is_private=False)
    assert refused.value.code is ErrorCode.FORBIDDEN
