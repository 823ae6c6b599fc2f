"""Removing backgrounds with published models: stand-ins of the real forms, run as the real ones would be."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.interface import EngineError
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.plugins.isnet import IsNet
from engine.tasks.remove_background import remove_background
from protocol.errors import ErrorCode
from protocol.events import OutputReady
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save, texture
from tests.unit.engine.plugins.tiny_onnx import mean_of_colours


def run(image: Path, models_dir: Path, *, allows_noncommercial: bool = False, **params: object) -> Driver:
    made = make_run(TaskName.REMOVE_BACKGROUND, params, inputs={"image": image})
    plugins = PluginFiles(models_dir=models_dir, allows_noncommercial=allows_noncommercial)
    residency = Residency(models_dir, "cpu")
    return drive(lambda run, context: remove_background(run, context, residency, plugins), made)


def half_white(path: Path) -> Path:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255
    return save(path, pixels)


def put_zeros(path: Path) -> None:
    network = IsNet(width=1 / 16)
    torch.save({name: value * 0 for name, value in network.state_dict().items()}, path)


@pytest.mark.parametrize(
    ("model", "file", "side"),
    [
        ("silueta", "silueta.onnx", 320),
        ("isnet-general-use", "isnet-general-use.onnx", 1024),
        ("birefnet-portrait", "birefnet-portrait.onnx", 1024),
        ("rmbg-1.4", "RMBG-1.4.onnx", 1024),
        ("rmbg-2.0", "bria-rmbg-2.0.onnx", 1024),
    ],
)
def test_an_onnx_file_of_a_model_is_run_by_its_name(model: str, file: str, side: int, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(mean_of_colours(side))
    image = half_white(tmp_path / "in.png")
    done = run(image, tmp_path, model=model, result="mask", allows_noncommercial=True)
    mask = pixels_of(done.outputs[0].content)
    assert (mask[:, :29] == 255).all()
    assert (mask[:, 31:] == 0).all()
    assert done.of_type(OutputReady)[0].data == {"result": "mask", "model": model}


def test_drawn_characters_by_weights_of_zero_are_one_half_everywhere(tmp_path: Path) -> None:
    put_zeros(tmp_path / "isnetis.pth")
    image = save(tmp_path / "in.png", texture(36, 48))
    mask = pixels_of(run(image, tmp_path, model="isnet-anime", result="mask").outputs[0].content)
    assert set(np.unique(mask)) <= {127, 128}
    cutout = pixels_of(run(image, tmp_path, model="isnet-anime").outputs[0].content)
    assert set(np.unique(cutout[..., 3])) <= {127, 128}
    assert (cutout[..., :3] == texture(36, 48)).all()


def test_rmbg_is_run_from_its_published_weights(tmp_path: Path) -> None:
    (tmp_path / "RMBG-1.4").mkdir()
    put_zeros(tmp_path / "RMBG-1.4" / "model.pth")
    image = save(tmp_path / "in.png", texture(36, 48))
    done = run(image, tmp_path, model="rmbg-1.4", result="mask", allows_noncommercial=True)
    assert (pixels_of(done.outputs[0].content) == 0).all()  # its answers are relative, and there is no difference


def test_a_model_that_is_not_for_commercial_use_is_refused_unless_allowed(tmp_path: Path) -> None:
    (tmp_path / "bria-rmbg-2.0.onnx").write_bytes(mean_of_colours(1024))
    with pytest.raises(EngineError, match="allow_noncommercial_models") as refused:
        run(half_white(tmp_path / "in.png"), tmp_path, model="rmbg-2.0")
    assert refused.value.code is ErrorCode.FORBIDDEN


def test_a_model_without_its_file_says_which_file_goes_where(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"put silueta\.onnx from https://") as refused:
        run(half_white(tmp_path / "in.png"), tmp_path, model="silueta")
    assert refused.value.code is ErrorCode.MODEL_MISSING


def test_clothes_asked_of_a_model_that_knows_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "silueta.onnx").write_bytes(mean_of_colours(320))
    image = half_white(tmp_path / "in.png")
    assert run(image, tmp_path, model="silueta", result="mask", clothes="upper").warnings == ["clothes_unused"]
    assert run(image, tmp_path, model="silueta", result="mask").warnings == []
